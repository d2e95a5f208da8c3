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
from velora.models.circuits import make_critic, make_head, make_value
from velora.models.exploration import ChoiceSampling, SquashedSampling
from velora.models.off_policy import OffPolicyAgent
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.sac_choices import learn_choices
from velora.models.settings import SACSettings, Settings
from velora.nn.parameters import Scalar
from velora.ops.policies import draw_categorical, likeliest
from velora.ops.squashed_gaussian import draw_actions

CRITICS = ("critic_1", "critic_2")

ENTROPY_SHARE = 0.5
"""Share of the largest entropy there is that a policy of choices is steered to."""


@agents.register("liquid_sac")
class LiquidSAC(OffPolicyAgent, replays=True):
    """Learn a stochastic liquid policy from replayed windows, for reward and for entropy.

    Args:
        state_dim: numbers in an observation (O), once it is flattened.
        n_neurons: inter and command neurons of the policy, at least 3; the motor neurons come on top, one per action.
        action_dim: numbers in an action, or how many discrete actions there are (A).
        discrete: whether an action is one of ``action_dim`` choices.
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
        temperature_lr: learning rate of the temperature, the weight of the entropy beside the scaled reward.
        initial_temperature: what it begins at.
        target_entropy: entropy of the policy, in nats, that the temperature is steered to; ``None`` is ``-action_dim``,
            or for choices :data:`ENTROPY_SHARE` of the largest there is, ``log(action_dim)``.
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
        Haarnoja et al. 2018 (arXiv 1812.05905), algorithm 1; of choices, Christodoulou 2019 (arXiv 1910.07207),
        algorithm 1; windows from stored recurrent state with burn-in from Kapturowski et al. 2019 (R2D2). Differs: the
        policy is recurrent; gradients are clipped and carried back through the burn-in, and rewards are scaled, as in
        :class:`~velora.models.LiquidDDPG`; the temperature is learned by its logarithm; a policy of choices is steered
        to half of its largest entropy instead of to 0.98 of it.
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
        discrete: bool = False,
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
        s = self.settings
        make = partial(make_value, n_values=s.action_dim) if s.discrete else make_critic
        critics = {name: make(self, name) for name in CRITICS}
        temperature = Scalar(self.n_seeds, math.log(s.initial_temperature))
        actor = make_head(self, s.action_dim if s.discrete else 2 * s.action_dim)
        return {"actor": actor, **critics, "temperature": temperature}

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name the critics: they alone have targets."""
        return CRITICS

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        s = self.settings
        return {"actor": s.actor_lr, **dict.fromkeys(CRITICS, s.critic_lr), "temperature": s.temperature_lr}

    @property
    def discrete(self) -> bool:
        """Tell whether actions are choices, or numbers."""
        return self.settings.discrete

    @property
    def replays(self) -> bool:
        """Tell whether updates may be noted once and run as a whole; those of choices are made step by step."""
        return super().replays and not self.discrete

    @property
    def target_entropy(self) -> float:
        """Entropy of the policy, in nats, that the temperature is steered to."""
        s = self.settings
        if s.target_entropy is not None:
            return s.target_entropy
        return ENTROPY_SHARE * math.log(s.action_dim) if s.discrete else -float(s.action_dim)

    def configure_exploration(self) -> SquashedSampling | ChoiceSampling:
        """Make what draws actions from the policy."""
        return ChoiceSampling(self.seeds) if self.discrete else SquashedSampling(self.seeds, self.settings.action_dim)

    def greedy(self, out: Tensor) -> Tensor:
        """Take the tanh of the mean as the action, or the likeliest choice."""
        return likeliest(out) if self.discrete else torch.tanh(out[..., : self.settings.action_dim])

    def explored(self, out: Array, generator: np.random.Generator) -> Array:
        """Draw an action from the policy."""
        if self.discrete:
            return draw_categorical(out, generator.random((len(out), 1)))[0]
        return draw_actions(out, generator.standard_normal((len(out), self.settings.action_dim), dtype=np.float32))

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of critics, actor, temperature and targets.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,).
        """
        metrics, entropy = learn_choices(self, batch, CRITICS) if self.discrete else self._learn_actions(batch)
        ops, temperature = self.learner.backend, self.learner.flats["temperature"]
        made = ops.temperature(temperature.values, entropy, target=self.target_entropy)
        assert temperature.gradient is not None
        into = temperature.gradient
        self.optimize("temperature", made.loss, lambda: ops.copy(made.gradient, into))
        self.learner.follow(self.settings.tau)
        return metrics | {
            "actor/entropy": entropy, "temperature/loss": made.loss, "temperature/value": made.temperature
        }  # fmt: skip

    def _learn_actions(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Make one update of critics and actor by drawn actions; return metrics and the entropy of the policy, (S,)."""
        s, run, ops = self.settings, self.learner.networks, self.learner.backend
        temperature = self.learner.flats["temperature"]
        shape = *batch.reward.shape[1:], s.action_dim

        following = ops.squashed(next_actions(run["actor"], batch), self.normal("next actions", *shape))
        first, second = (next_values(run[f"target_{name}"], batch, following.action) for name in CRITICS)
        next_q = ops.soft_minimum((first, second), following.log_prob, temperature.values)
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
        value = ops.soft_minimum((q_1, q_2), pi.log_prob, temperature.values)
        actor_loss = ops.mean(value, factor=-1.0, skip=s.burn_in)
        d = ops.soft_minimum_gradient((q_1, q_2), temperature.values, factor=-1.0, skip=s.burn_in)

        def carry_back() -> None:
            d_actions = pull_1(d.values[0]), pull_2(d.values[1])
            pull_actor.parameters(ops.squashed_gradient(out, noise, d_actions, d.log_prob))

        self.optimize("actor", actor_loss, carry_back)
        return metrics | {"actor/loss": actor_loss}, ops.mean(pi.log_prob, factor=-1.0, skip=s.burn_in)
