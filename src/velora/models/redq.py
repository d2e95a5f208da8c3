"""Randomized ensembled double Q-learning with a liquid policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Unpack

from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.agent import Agent
from velora.models.entropy import learn_temperature, make_temperature
from velora.models.experience import Replay
from velora.models.make_networks import make_critic, make_head
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import REDQSettings
from velora.models.stochastic_exploration import SquashedSampling
from velora.ops.losses import mean_gradient

if TYPE_CHECKING:
    from velora.models.keywords import REDQKeywords


@agents.register("liquid_redq")
class LiquidREDQ(Agent, replays=True):
    """Learn a stochastic liquid policy from few environment steps: many updates in each, of an ensemble of critics.

    Raises:
        SettingError: if a setting is out of its domain.

    Example:
        >>> agent = LiquidREDQ(3, 10, 1, seed=0)
        >>> action, hidden = agent.predict([0.1, 0.2, 0.3])
        >>> action.shape, hidden.shape
        ((1,), (11,))

    Source:
        Chen et al. 2021 (arXiv 2101.05982), algorithm 1; windows from stored recurrent state with burn-in from
        Kapturowski et al. 2019 (R2D2). Differs: the policy is recurrent; gradients are clipped and carried back through
        the burn-in, and rewards are scaled, as in :class:`~velora.models.LiquidDDPG`; the temperature is learned by its
        logarithm, with the policy, as in :class:`~velora.models.LiquidSAC`; all N targets are evaluated, of which the M
        drawn ones count, so that a recorded update needn't know which they are; ``updates_per_step`` (G) updates learn
        from what was stored before the step; ``tau`` and the learning rates are those of the other agents.
    """

    key: ClassVar[str] = "liquid_redq"
    settings_type = REDQSettings
    settings: REDQSettings
    experience: Replay

    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Unpack[REDQKeywords]) -> None:
        super().__init__(state_dim, n_neurons, action_dim, **settings)

    @property
    def critics(self) -> list[str]:
        """Names of the critics in the ensemble."""
        return [f"critic_{k}" for k in range(1, self.settings.n_critics + 1)]

    def improves_policy(self, update: int) -> bool:
        """Improve the policy at the last of the updates of a step."""
        return (update + 1) % self.settings.updates_per_step == 0

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor, critics that start differently, and the logarithm of the temperature."""
        critics = {name: make_critic(self, name) for name in self.critics}
        return {
            "actor": make_head(self, 2 * self.settings.action_dim),
            **critics,
            "temperature": make_temperature(self),
        }

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name the critics: they alone have targets."""
        return self.critics

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        s = self.settings
        return {"actor": s.actor_lr, **dict.fromkeys(self.critics, s.critic_lr), "temperature": s.temperature_lr}

    @property
    def target_entropy(self) -> float:
        """Entropy of the policy, in nats, that the temperature is steered to."""
        s = self.settings
        return -float(s.action_dim) if s.target_entropy is None else s.target_entropy

    def configure_exploration(self) -> SquashedSampling:
        """Draw actions from the policy."""
        return SquashedSampling(self.seeds, self.settings.action_dim)

    def configure_experience(self) -> Replay:
        """Learn from replayed windows."""
        return Replay(self)

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make one update of critics and targets, and where it is due of actor and temperature.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...).
            returns: metrics of shape (S,); those of the critics are averaged over the ensemble.
        """
        s, run, ops = self.settings, self.learner.networks, self.learner.backend
        temperature = self.learner.flats["temperature"].values

        following = ops.squashed(next_actions(run["actor"], batch), self._noise("next actions", batch))
        values = [next_values(run[f"target_{name}"], batch, following.action) for name in self.critics]
        least = ops.minimum_of(values, self.draws.subset("target critics", s.n_target_critics, s.n_critics))
        next_q = ops.soft_minimum((least,), following.log_prob, temperature)
        y = ops.td_target(batch.reward, batch.terminated, next_q, batch.next_dt, gamma=s.gamma, scale=s.reward_scale)

        losses = []
        for name in self.critics:
            q, pull_critic = stored_values(run[name], batch)
            loss = ops.squared_error(q.squeeze(3), y, skip=s.burn_in)
            self.optimize(name, loss.loss, partial(pull_critic.parameters, loss.gradient.unsqueeze(3)))
            losses.append(loss)
        self.learner.follow(s.tau)
        metrics = {
            "critics/loss": ops.average([each.loss for each in losses]),
            "critics/q": ops.average([each.mean for each in losses]),
        }
        return metrics | self._improve_policy(batch) if self.learns_policy else metrics

    def _improve_policy(self, batch: Batch) -> dict[str, Tensor]:
        """Ascend the mean of all critics and the entropy: ``mean_i Q_i(o, a) - temperature * log pi(a)``."""
        s, run, ops = self.settings, self.learner.networks, self.learner.backend
        temperature = self.learner.flats["temperature"].values

        out, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
        noise = self._noise("policy actions", batch)
        pi = ops.squashed(out, noise)
        found = [policy_values(run[name], batch, pi.action, ops) for name in self.critics]
        value = ops.average([q for q, _ in found])
        actor_loss = ops.mean(ops.soft_minimum((value,), pi.log_prob, temperature), factor=-1.0, skip=s.burn_in)
        d_q = mean_gradient(value, factor=-1.0 / s.n_critics, skip=s.burn_in)
        d_log_prob = ops.soft_minimum_gradient((value,), temperature, factor=-1.0, skip=s.burn_in).log_prob

        def carry_back() -> None:
            d_actions = [pull_value(d_q) for _, pull_value in found]
            pull_actor.parameters(ops.squashed_gradient(out, noise, d_actions, d_log_prob))

        self.optimize("actor", actor_loss, carry_back)
        entropy = ops.mean(pi.log_prob, factor=-1.0, skip=s.burn_in)
        return {"actor/loss": actor_loss} | learn_temperature(self, entropy, target=self.target_entropy)

    def _noise(self, purpose: str, batch: Batch) -> Tensor:
        return self.normal(purpose, *batch.reward.shape[1:], self.settings.action_dim)
