"""Twin delayed deep deterministic policy gradient with a liquid policy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Unpack

from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.agent import Agent
from velora.models.experience import Replay
from velora.models.make_networks import make_actor, make_critic
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import TD3Settings
from velora.ops.losses import mean_gradient

if TYPE_CHECKING:
    from velora.models.keywords import TD3Keywords

CRITICS = ("critic_1", "critic_2")


@agents.register("liquid_td3")
class LiquidTD3(Agent, replays=True):
    """Learn a deterministic liquid policy from replayed windows, with the smaller of two critics as the target.

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
    settings_type = TD3Settings
    settings: TD3Settings
    experience: Replay

    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Unpack[TD3Keywords]) -> None:
        super().__init__(state_dim, n_neurons, action_dim, **settings)

    def improves_policy(self, update: int) -> bool:
        """Improve the policy and the targets at every ``policy_delay``-th update, beginning with the first."""
        return update % self.settings.policy_delay == 0

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and two critics that start differently."""
        return {"actor": make_actor(self), **{name: make_critic(self, name) for name in CRITICS}}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, **dict.fromkeys(CRITICS, self.settings.critic_lr)}

    def configure_experience(self) -> Replay:
        """Learn from replayed windows."""
        return Replay(self)

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
