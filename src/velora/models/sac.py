"""Soft actor-critic with a liquid policy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Unpack

from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.agent import Agent
from velora.models.entropy import learn_temperature, make_temperature
from velora.models.experience import Replay
from velora.models.make_networks import make_critic, make_head, make_value
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.sac_choices import learn_choices
from velora.models.settings import SACSettings
from velora.models.stochastic_exploration import ChoiceSampling, SquashedSampling

if TYPE_CHECKING:
    from velora.models.keywords import SACKeywords

CRITICS = ("critic_1", "critic_2")

ENTROPY_SHARE = 0.5
"""Share of the largest entropy there is that a policy of choices is steered to."""


@agents.register("liquid_sac")
class LiquidSAC(Agent, replays=True):
    """Learn a stochastic liquid policy from replayed windows, for reward and for entropy.

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
    settings_type = SACSettings
    settings: SACSettings
    experience: Replay

    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Unpack[SACKeywords]) -> None:
        super().__init__(state_dim, n_neurons, action_dim, **settings)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor, two critics that start differently, and the logarithm of the temperature."""
        s = self.settings
        make = partial(make_value, n_values=s.action_dim) if s.discrete else make_critic
        critics = {name: make(self, name) for name in CRITICS}
        actor = make_head(self, s.action_dim if s.discrete else 2 * s.action_dim)
        return {"actor": actor, **critics, "temperature": make_temperature(self)}

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name the critics: they alone have targets."""
        return CRITICS

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        s = self.settings
        return {"actor": s.actor_lr, **dict.fromkeys(CRITICS, s.critic_lr), "temperature": s.temperature_lr}

    @property
    def discrete(self) -> bool:
        """Return whether actions are discrete, or numbers."""
        return self.settings.discrete

    @property
    def replays(self) -> bool:
        """Return whether updates may be recorded and replayed; those with discrete actions are made step by step."""
        return super().replays and not self.discrete

    @property
    def target_entropy(self) -> float:
        """Entropy of the policy, in nats, that the temperature is steered to."""
        s = self.settings
        if s.target_entropy is not None:
            return s.target_entropy
        return ENTROPY_SHARE * math.log(s.action_dim) if s.discrete else -float(s.action_dim)

    def configure_exploration(self) -> SquashedSampling | ChoiceSampling:
        """Draw actions from the policy."""
        return ChoiceSampling(self.seeds) if self.discrete else SquashedSampling(self.seeds, self.settings.action_dim)

    def configure_experience(self) -> Replay:
        """Learn from replayed windows."""
        return Replay(self)

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of critics, actor, temperature and targets.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,).
        """
        metrics, entropy = learn_choices(self, batch, CRITICS) if self.discrete else self._learn_actions(batch)
        metrics |= learn_temperature(self, entropy, target=self.target_entropy)
        self.learner.follow(self.settings.tau)
        return metrics

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
