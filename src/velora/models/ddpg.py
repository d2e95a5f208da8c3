"""Deep deterministic policy gradient with a liquid policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Unpack

from torch import Tensor, nn

from velora.buffers import Batch
from velora.checkpoint.registry import agents
from velora.models.agent import Agent
from velora.models.experience import Replay
from velora.models.make_networks import make_actor, make_critic
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.models.settings import DDPGSettings
from velora.ops.losses import mean_gradient

if TYPE_CHECKING:
    from velora.models.keywords import DDPGKeywords


@agents.register("liquid_ddpg")
class LiquidDDPG(Agent, replays=True):
    """Learn a deterministic liquid policy from replayed windows, with a dense critic.

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
    settings_type = DDPGSettings
    settings: DDPGSettings
    experience: Replay

    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Unpack[DDPGKeywords]) -> None:
        super().__init__(state_dim, n_neurons, action_dim, **settings)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and the critic."""
        return {"actor": make_actor(self), "critic": make_critic(self)}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, "critic": self.settings.critic_lr}

    def configure_experience(self) -> Replay:
        """Learn from replayed windows."""
        return Replay(self)

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
