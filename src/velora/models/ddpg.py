"""Deep deterministic policy gradient with a liquid policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.core import seeding
from velora.models.agent import Agent
from velora.models.recurrence import burnt_in, next_actions
from velora.models.settings import DDPGSettings, Settings
from velora.nn.cells import make_cell
from velora.nn.networks import LiquidActor, LiquidQNetwork, QNetwork
from velora.nn.wiring import NCPWiring, auto_ncp


@agents.register("liquid_ddpg")
class LiquidDDPG(Agent, replays=True):
    """Learn a deterministic liquid policy from replayed windows, with a dense critic.

    Args:
        state_dim: numbers in an observation (O).
        n_neurons: inter and command neurons of the policy, at least 3; the motor neurons come on top, one per action.
        action_dim: numbers in an action (A).
        cell: ``"cfc"``, ``"ltc"``, ``"leaky"``, ``"gru"``, ``"lstm"`` or ``"memoryless"``.
        cell_mode: ``"default"``; of a CfC also ``"pure"`` or ``"no_gate"``, of a leaky cell ``"no_reset"``.
        mixed_memory: put an LSTM before the liquid cell, so that long memory doesn't fade.
        sparsity: share of missing synapses between the policy's layers, in [0.1, 0.9].
        critic: ``"dense"``, or ``"liquid"``: a CfC circuit of the policy's size, slower to learn and to compute.
        critic_units: sizes of the dense critic's hidden layers. Only the policy has to be small.
        optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"`` or ``"sgd"``.
        actor_lr, critic_lr: learning rates.
        gamma: discount per control step.
        tau: share by which the targets follow at each update.
        grad_clip: largest gradient norm of a network and seed; ``None`` doesn't clip.
        reward_scale: factor on rewards inside the critic's loss.
        buffer_size: transitions kept for each seed.
        warmup_steps: steps of uniform random actions before learning begins.
        sequence_length: steps of a replayed window that are learned from, by backpropagation through time.
        burn_in: steps before those that only bring the recurrent state up to date.
        noise_std, noise_correlation: deviation of the exploration noise, as a share of half the action range, and its
            correlation from step to step.
        noise_final_std, noise_decay_steps: what the deviation goes to, in a straight line over so many steps; ``None``
            leaves it. Less noise makes better returns in training, and a policy that learned from less.
        device: where to compute; ``None`` chooses.
        kernel: what computes: ``"native"`` (C) or ``"numpy"`` on the CPU, ``"torch"`` anywhere, or ``"auto"``, the
            fastest that is there.
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
        Kapturowski et al. 2019 (R2D2). Differs: the policy is recurrent and the critic is not, so the critic is the
        value of an observation (right where observations are states); gradients are clipped and rewards scaled, to
        keep single updates and the range of Q small; warm-up is random; weight decay and batch normalisation are left
        out, for simplicity. What each of these is worth was not measured in this repository; benchmarks/learning has
        the settings that were compared.
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
        sparsity: float = 0.5,
        critic: str = "dense",
        critic_units: Sequence[int] = (64, 64),
        optimizer: str = "adam",
        actor_lr: float = 3e-4,
        critic_lr: float = 1e-3,
        gamma: float = 0.99,
        tau: float = 0.02,
        grad_clip: float | None = 1.0,
        reward_scale: float = 0.1,
        buffer_size: int = 100_000,
        warmup_steps: int = 1_000,
        sequence_length: int = 1,
        burn_in: int = 0,
        noise_std: float = 0.3,
        noise_final_std: float | None = None,
        noise_decay_steps: int = 10_000,
        noise_correlation: float = 0.85,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in DDPGSettings.model_fields}
        super().__init__(settings, device=device, kernel=kernel, seed=seed, seeds=seeds)
        self.actor, self.target_actor = (cast(LiquidActor, self.networks[n]) for n in ("actor", "target_actor"))
        self.critic, self.target_critic = (self.networks[n] for n in ("critic", "target_critic"))

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and the critic; each seed draws its own wiring and weights."""
        s = self.settings
        wirings = self._wirings("wiring", s.state_dim, s.action_dim)
        cell = make_cell(s.cell, wirings, self.init_generators("actor"), mode=s.cell_mode, mixed_memory=s.mixed_memory)
        self.wirings["actor"] = wirings[0].describe()
        return {"actor": LiquidActor(cell), "critic": self._critic()}

    def _critic(self) -> nn.Module:
        s, generators = self.settings, self.init_generators("critic")
        if s.critic == "dense":
            return QNetwork(s.state_dim, s.action_dim, units=s.critic_units, generators=generators)
        wirings = self._wirings("critic wiring", s.state_dim + s.action_dim, 1)
        self.wirings["critic"] = wirings[0].describe()
        return LiquidQNetwork(make_cell("cfc", wirings, generators), generators)

    def _wirings(self, purpose: str, inputs: int, outputs: int) -> list[NCPWiring]:
        s = self.settings
        return [
            auto_ncp(
                inputs,
                s.n_neurons + outputs,
                outputs,
                sparsity=s.sparsity,
                seed=seeding.derive(seed, purpose) >> 31,
            )
            for seed in self.seeds
        ]

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
        s, run, window = self.settings, self.learner.networks, batch.after(self.settings.burn_in)
        actor, critic, math = run["actor"], run["critic"], self.learner.backend
        next_action = next_actions(run["target_actor"], batch)[:, :, s.burn_in :]
        next_q = run["target_critic"].run(window.next_obs, next_action).out
        assert next_q is not None
        y = math.td_target(window.reward, window.terminated, next_q.squeeze(3), gamma=s.gamma, scale=s.reward_scale)

        q, pull_critic = critic.vjp(window.obs, window.action)
        critic_loss = math.squared_error(q.squeeze(3), y)
        d_q = critic_loss.gradient.unsqueeze(3)
        self.optimize("critic", critic_loss.loss, lambda: pull_critic.parameters(d_q))

        hidden = burnt_in(actor, batch, s.burn_in)
        pi, pull_actor = actor.vjp(window.obs, hidden=hidden, dt=window.dt, resets=window.start)
        value, pull_value = critic.vjp(window.obs, pi)
        actor_loss = math.mean(value, factor=-1.0)
        d_value = torch.full_like(value, -1.0 / value[0].numel())
        self.optimize("actor", actor_loss, lambda: pull_actor.parameters(pull_value.source(1, d_value)))

        self.learner.follow(s.tau)
        return {"actor/loss": actor_loss, "critic/loss": critic_loss.loss, "critic/q": critic_loss.mean}
