"""Twin delayed deep deterministic policy gradient with a liquid policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.circuits import make_actor, make_critic
from velora.models.off_policy import OffPolicyAgent
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import Settings, TD3Settings
from velora.ops.losses import mean_gradient

CRITICS = ("critic_1", "critic_2")


@agents.register("liquid_td3")
class LiquidTD3(OffPolicyAgent, replays=True):
    """Learn a deterministic liquid policy from replayed windows, with the smaller of two critics as the target.

    Args:
        state_dim: numbers in an observation (O), once it is flattened.
        n_neurons: inter and command neurons of the policy, at least 3; the motor neurons come on top, one per action.
        action_dim: numbers in an action (A).
        cell: ``"cfc"``, ``"ltc"``, ``"leaky"``, ``"gru"``, ``"lstm"`` or ``"memoryless"``.
        cell_mode: ``"default"``; of a CfC also ``"pure"`` or ``"no_gate"``, of a leaky cell ``"no_reset"``.
        mixed_memory: put an LSTM before the policy's liquid cell, so that long memory doesn't fade; a critic gets none.
        wiring: between the policy's layers: ``"ncp"``, ``"random"``, with as many synapses, or ``"dense"``, with all.
        sparsity: share of missing synapses between the policy's layers, in [0.1, 0.9].
        time: how the networks are told how much has passed: ``"gate"``, as the ``dt`` of their cells; ``"input"``, as a
            number beside the observation; ``"both"`` or ``"none"``.
        critic: ``"dense"``; ``"liquid"``, a CfC circuit of the policy's size without memory; or ``"recurrent"``, a
            layer of the policy's cell (of a CfC for ``"ltc"``) that reads whole windows, for partly observed tasks.
        critic_units: sizes of the critic's hidden layers; of a recurrent one the first is the cell. Only the policy has
            to be small.
        optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"`` or ``"sgd"``.
        actor_lr, critic_lr: learning rates.
        gamma: discount per control step.
        tau: share by which the targets follow at each update.
        grad_clip: largest gradient norm of a network and seed; ``None`` doesn't clip.
        reward_scale: factor on rewards inside the critic's loss.
        normalize_obs: show the networks observations less the mean of those met in training, over their deviation.
        normalize_returns: learn from rewards over the deviation of their discounted sums; ``reward_scale`` stays.
        buffer_size: transitions kept for each seed.
        warmup_steps: steps of uniform random actions before learning begins.
        sequence_length: steps of a replayed window that are learned from, by backpropagation through time.
        burn_in: steps before those that bring the recurrent state up to date, and have no loss of their own.
        noise_std, noise_correlation: deviation of the exploration noise, as a share of half the action range, and its
            correlation from step to step.
        noise_final_std, noise_decay_steps: what the deviation goes to, in a straight line over so many steps; ``None``
            leaves it. Less noise makes better returns in training, and a policy that learned from less.
        policy_delay: every how manieth update improves the policy and moves the targets.
        target_noise, target_noise_clip: deviation of the noise on the target's actions, and its largest size, as shares
            of half the action range.
        image: shape of an observation that is an image, as Gymnasium gives it, such as ``(64, 64, 3)``; a small
            convolutional encoder of its own then stands before each network. ``None`` reads a vector.
        image_range: least and largest value of a pixel; ``None`` are bytes, 0 to 255, and kept as such.
        device: where to compute; ``None`` chooses.
        kernel: what computes: ``"native"`` (C) or ``"numpy"`` on the CPU, ``"torch"`` anywhere and for images, or
            ``"auto"``, the fastest that is there.
        seed: of everything random in this agent and its runs; ``None`` takes that of ``set_seed``.
        seeds: several, to train as many independent agents side by side.

    Raises:
        SettingError: if a setting is out of its domain.

    Example:
        >>> agent = LiquidTD3(3, 10, 1, seed=0)
        >>> action, hidden = agent.predict([0.1, 0.2, 0.3])
        >>> action.shape, hidden.shape
        ((1,), (11,))

    Source:
        Fujimoto et al. 2018 (arXiv 1802.09477), algorithm 1; windows from stored recurrent state with burn-in from
        Kapturowski et al. 2019 (R2D2). Differs: the policy is recurrent; gradients are clipped and carried back through
        the burn-in, rewards are scaled, and exploration is correlated in time, as in
        :class:`~velora.models.LiquidDDPG`, whose values of these settings are taken over.
    """

    key: ClassVar[str] = "liquid_td3"
    settings_type: ClassVar[type[Settings]] = TD3Settings
    settings: TD3Settings

    def __init__(
        self,
        state_dim: int,
        n_neurons: int,
        action_dim: int,
        *,
        cell: str = "cfc",
        cell_mode: str = "default",
        mixed_memory: bool = False,
        wiring: str = "ncp",
        sparsity: float = 0.5,
        time: str = "gate",
        critic: str = "dense",
        critic_units: Sequence[int] = (64, 64),
        optimizer: str = "adam",
        actor_lr: float = 3e-4,
        critic_lr: float = 1e-3,
        gamma: float = 0.99,
        tau: float = 0.02,
        grad_clip: float | None = 1.0,
        reward_scale: float = 0.1,
        normalize_obs: bool = False,
        normalize_returns: bool = False,
        buffer_size: int = 100_000,
        warmup_steps: int = 1_000,
        sequence_length: int = 1,
        burn_in: int = 0,
        noise_std: float = 0.3,
        noise_final_std: float | None = None,
        noise_decay_steps: int = 10_000,
        noise_correlation: float = 0.85,
        policy_delay: int = 2,
        target_noise: float = 0.2,
        target_noise_clip: float = 0.5,
        image: Sequence[int] | None = None,
        image_range: Sequence[float] | None = None,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in TD3Settings.model_fields}
        super().__init__(settings, device=device, kernel=kernel, seed=seed, seeds=seeds)

    @property
    def policy_delay(self) -> int:
        """Every how manieth update improves the policy and moves the targets."""
        return self.settings.policy_delay

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and two critics that start differently."""
        return {"actor": make_actor(self), **{name: make_critic(self, name) for name in CRITICS}}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, **dict.fromkeys(CRITICS, self.settings.critic_lr)}

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of the critics, and where it is due of actor and targets.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,).
        """
        s, run, math = self.settings, self.learner.networks, self.learner.backend
        next_action = next_actions(run["target_actor"], batch)
        noise = self.normal("target noise", *next_action.shape[1:])
        smoothed = math.perturbed(next_action, noise, std=s.target_noise, most=s.target_noise_clip)
        first, second = (next_values(run[f"target_{name}"], batch, smoothed) for name in CRITICS)
        next_q = math.minimum(first, second)
        y = math.td_target(batch.reward, batch.terminated, next_q, batch.next_dt, gamma=s.gamma, scale=s.reward_scale)

        metrics: dict[str, Tensor] = {}
        for name in CRITICS:
            q, pull_critic = stored_values(run[name], batch)
            loss = math.squared_error(q.squeeze(3), y, skip=s.burn_in)
            d_q = loss.gradient.unsqueeze(3)
            self.optimize(name, loss.loss, partial(pull_critic.parameters, d_q))
            metrics |= {f"{name}/loss": loss.loss, f"{name}/q": loss.mean}
        if not self.learns_policy:
            return metrics

        pi, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
        value, pull_value = policy_values(run["critic_1"], batch, pi, math)
        actor_loss = math.mean(value, factor=-1.0, skip=s.burn_in)
        d_value = mean_gradient(value, factor=-1.0, skip=s.burn_in)
        self.optimize("actor", actor_loss, lambda: pull_actor.parameters(pull_value(d_value)))
        self.learner.follow(s.tau)
        return metrics | {"actor/loss": actor_loss}
