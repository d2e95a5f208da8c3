"""Deep deterministic policy gradient with a liquid policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.circuits import make_actor, make_critic
from velora.models.off_policy import OffPolicyAgent
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import DDPGSettings, Settings
from velora.ops.losses import mean_gradient


@agents.register("liquid_ddpg")
class LiquidDDPG(OffPolicyAgent, replays=True):
    """Learn a deterministic liquid policy from replayed windows, with a dense critic.

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
        >>> agent = LiquidDDPG(3, 10, 1, seed=0)
        >>> action, hidden = agent.predict([0.1, 0.2, 0.3])
        >>> action.shape, hidden.shape
        ((1,), (11,))

    Source:
        Lillicrap et al. 2016 (arXiv 1509.02971), algorithm 1; windows from stored recurrent state with burn-in from
        Kapturowski et al. 2019 (R2D2). Differs: the policy is recurrent and the dense critic is not, so it is the value
        of an observation (right where observations are states); gradients are carried back through the burn-in too, so
        that no step has a treatment of its own, are clipped, and rewards are scaled, to keep single updates and the
        range of Q small; warm-up is random; weight decay and batch normalisation are left out, for simplicity. What
        each of these is worth was not measured in this repository; benchmarks/learning has the settings that were
        compared.
    """

    key: ClassVar[str] = "liquid_ddpg"
    settings_type: ClassVar[type[Settings]] = DDPGSettings
    settings: DDPGSettings

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
        image: Sequence[int] | None = None,
        image_range: Sequence[float] | None = None,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in DDPGSettings.model_fields}
        super().__init__(settings, device=device, kernel=kernel, seed=seed, seeds=seeds)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and the critic."""
        return {"actor": make_actor(self), "critic": make_critic(self)}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, "critic": self.settings.critic_lr}

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of critic, actor and targets.

        The hidden states are those of acting: a window starts from the state that was stored with it, and the actor and
        its target each unroll from there over the burn-in and the window. Gradients are carried back by explicit calls:
        of the critic's loss through the critic, then of its value through the critic and the actor.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,).
        """
        s, run, math = self.settings, self.learner.networks, self.learner.backend
        next_q = next_values(run["target_critic"], batch, next_actions(run["target_actor"], batch))
        y = math.td_target(batch.reward, batch.terminated, next_q, batch.next_dt, gamma=s.gamma, scale=s.reward_scale)

        q, pull_critic = stored_values(run["critic"], batch)
        critic_loss = math.squared_error(q.squeeze(3), y, skip=s.burn_in)
        d_q = critic_loss.gradient.unsqueeze(3)
        self.optimize("critic", critic_loss.loss, lambda: pull_critic.parameters(d_q))

        pi, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
        value, pull_value = policy_values(run["critic"], batch, pi, math)
        actor_loss = math.mean(value, factor=-1.0, skip=s.burn_in)
        d_value = mean_gradient(value, factor=-1.0, skip=s.burn_in)
        self.optimize("actor", actor_loss, lambda: pull_actor.parameters(pull_value(d_value)))

        self.learner.follow(s.tau)
        return {"actor/loss": actor_loss, "critic/loss": critic_loss.loss, "critic/q": critic_loss.mean}
