"""Soft actor-critic with a liquid policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.core.types import Array
from velora.models.circuits import make_critic, make_head
from velora.models.exploration import SquashedSampling
from velora.models.off_policy import OffPolicyAgent
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import SACSettings, Settings
from velora.nn.scalar import Scalar
from velora.ops.gaussian import draw_actions

CRITICS = ("critic_1", "critic_2")


@agents.register("liquid_sac")
class LiquidSAC(OffPolicyAgent, replays=True):
    """Learn a stochastic liquid policy from replayed windows, for reward and for entropy.

    Args:
        state_dim: numbers in an observation (O), once it is flattened.
        n_neurons: inter and command neurons of the policy, at least 3; the motor neurons come on top, one per action.
        action_dim: numbers in an action (A).
        cell: ``"cfc"``, ``"ltc"``, ``"leaky"``, ``"gru"``, ``"lstm"`` or ``"memoryless"``.
        cell_mode: ``"default"``; of a CfC also ``"pure"`` or ``"no_gate"``, of a leaky cell ``"no_reset"``.
        mixed_memory: put an LSTM before the liquid cell, so that long memory doesn't fade.
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
        buffer_size: transitions kept for each seed.
        warmup_steps: steps of uniform random actions before learning begins.
        sequence_length: steps of a replayed window that are learned from, by backpropagation through time.
        burn_in: steps before those that bring the recurrent state up to date, and have no loss of their own.
        temperature_lr: learning rate of the temperature, the weight of the entropy beside the scaled reward.
        initial_temperature: what it begins at.
        target_entropy: entropy of the policy, in nats, that the temperature is steered to; ``None`` is ``-action_dim``.
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
        >>> agent = LiquidSAC(3, 10, 1, seed=0)
        >>> action, hidden = agent.predict([0.1, 0.2, 0.3])
        >>> action.shape, hidden.shape
        ((1,), (11,))

    Source:
        Haarnoja et al. 2018 (arXiv 1812.05905), algorithm 1; windows from stored recurrent state with burn-in from
        Kapturowski et al. 2019 (R2D2). Differs: the policy is recurrent; gradients are clipped and carried back through
        the burn-in, and rewards are scaled, as in :class:`~velora.models.LiquidDDPG`; the temperature is learned by its
        logarithm.
    """

    key: ClassVar[str] = "liquid_sac"
    settings_type: ClassVar[type[Settings]] = SACSettings
    settings: SACSettings

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
        buffer_size: int = 100_000,
        warmup_steps: int = 1_000,
        sequence_length: int = 1,
        burn_in: int = 0,
        temperature_lr: float = 1e-3,
        initial_temperature: float = 0.1,
        target_entropy: float | None = None,
        image: Sequence[int] | None = None,
        image_range: Sequence[float] | None = None,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in SACSettings.model_fields}
        super().__init__(settings, device=device, kernel=kernel, seed=seed, seeds=seeds)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor, two critics that start differently, and the logarithm of the temperature."""
        critics = {name: make_critic(self, name) for name in CRITICS}
        temperature = Scalar(self.n_seeds, math.log(self.settings.initial_temperature))
        return {"actor": make_head(self, 2 * self.settings.action_dim), **critics, "temperature": temperature}

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name the critics: they alone have targets."""
        return CRITICS

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        s = self.settings
        return {"actor": s.actor_lr, **dict.fromkeys(CRITICS, s.critic_lr), "temperature": s.temperature_lr}

    def configure_exploration(self) -> SquashedSampling:
        """Make what draws actions from the policy."""
        return SquashedSampling(self.seeds, self.settings.action_dim)

    def greedy(self, out: Tensor) -> Tensor:
        """Take the tanh of the mean as the action."""
        return torch.tanh(out[..., : self.settings.action_dim])

    def explored(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw an action from the policy."""
        return draw_actions(out, generator.standard_normal((len(out), self.settings.action_dim), dtype=np.float32))

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of critics, actor, temperature and targets.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,).
        """
        s, run, ops = self.settings, self.learner.networks, self.learner.backend
        temperature = self.learner.flats["temperature"]
        shape = *batch.reward.shape[1:], s.action_dim

        following = ops.squashed(next_actions(run["actor"], batch), self.normal("next actions", *shape))
        first, second = (next_values(run[f"target_{name}"], batch, following.action) for name in CRITICS)
        next_q = ops.soft_minimum(first, second, following.log_prob, temperature.values)
        y = ops.td_target(batch.reward, batch.terminated, next_q, batch.next_dt, gamma=s.gamma, scale=s.reward_scale)

        metrics: dict[str, Tensor] = {}
        for name in CRITICS:
            q, pull_critic = stored_values(run[name], batch)
            loss = ops.squared_error(q.squeeze(3), y, skip=s.burn_in)
            d_q = loss.gradient.unsqueeze(3)
            self.optimize(name, loss.loss, partial(pull_critic.parameters, d_q))
            metrics |= {f"{name}/loss": loss.loss, f"{name}/q": loss.mean}

        out, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
        noise = self.normal("policy actions", *shape)
        pi = ops.squashed(out, noise)
        (q_1, pull_1), (q_2, pull_2) = (policy_values(run[name], batch, pi.action, ops) for name in CRITICS)
        value = ops.soft_minimum(q_1, q_2, pi.log_prob, temperature.values)
        actor_loss = ops.mean(value, factor=-1.0, skip=s.burn_in)
        d = ops.soft_minimum_gradient(q_1, q_2, temperature.values, factor=-1.0, skip=s.burn_in)

        def carry_back() -> None:
            d_actions = pull_1(d.first), pull_2(d.second)
            pull_actor.parameters(ops.squashed_gradient(out, noise, d_actions, d.log_prob))

        self.optimize("actor", actor_loss, carry_back)

        entropy = ops.mean(pi.log_prob, factor=-1.0, skip=s.burn_in)
        target = -float(s.action_dim) if s.target_entropy is None else s.target_entropy
        made = ops.temperature(temperature.values, entropy, target=target)
        assert temperature.gradient is not None
        into = temperature.gradient
        self.optimize("temperature", made.loss, lambda: ops.copy(made.gradient, into))

        self.learner.follow(s.tau)
        return metrics | {
            "actor/loss": actor_loss, "actor/entropy": entropy, "temperature/loss": made.loss,
            "temperature/value": made.temperature,
        }  # fmt: skip
