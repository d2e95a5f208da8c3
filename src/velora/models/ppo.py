"""Proximal policy optimisation with a liquid policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn

from velora.buffers import Rollout
from velora.checkpoint.registry import agents
from velora.core import allowance
from velora.core.autograd import as_by_default
from velora.core.streams import Stream
from velora.models.agent import Agent
from velora.models.experience import Rollouts
from velora.models.make_networks import make_head, make_value
from velora.models.recurrence import rollout_values
from velora.models.settings import PPOSettings
from velora.models.stochastic_exploration import RolloutSampling
from velora.nn.networks.critics import RecurrentCritic
from velora.nn.networks.images import reader
from velora.nn.networks.policies import LiquidHead
from velora.nn.run.network import Pullback
from velora.ops.losses import clipped_loss, mean_per_seed
from velora.ops.policies import Categorical, Distribution, Gaussian, PolicyGradient
from velora.ops.returns import generalised_advantage

if TYPE_CHECKING:
    from velora.models.keywords import PPOKeywords

_STATES_PER_WEIGHT = 64
"""Numbers in the critic's recurrent states that count as a weight, where the settings come from a file."""


@agents.register("liquid_ppo")
class LiquidPPO(Agent):
    """Improve a stochastic liquid policy on what it has just lived, in steps that stay near it.

    Raises:
        SettingError: if a setting is out of its domain.

    Example:
        >>> agent = LiquidPPO(4, 10, 2, discrete=True, seed=0)
        >>> action, hidden = agent.predict([0.1, 0.2, 0.3, 0.4])
        >>> action in (0, 1), hidden.shape
        (True, (12,))

    Source:
        Schulman et al. 2017 (arXiv 1707.06347), algorithm 1, with advantages of Schulman et al. 2016; windows from
        stored recurrent state. Of the details in Huang et al. 2022, "The 37 implementation details of PPO": advantages
        are normalised in each minibatch, gradients clipped, deviations don't depend on the state, actions beyond the
        bounds are clipped by the environment's side alone, and the policy's last layer begins small. Differs: actor and
        critic share nothing, so that the critic's loss has no weight; its changes aren't clipped, learning rates don't
        decay, and nothing is normalised unless it is asked for; the discount goes by time and ``gae_lambda`` by step;
        a time limit bootstraps (Pardo et al. 2018).
    """

    key: ClassVar[str] = "liquid_ppo"
    settings_type = PPOSettings
    settings: PPOSettings
    exploration: RolloutSampling
    experience: Rollouts

    def __init__(self, state_dim: int, n_neurons: int, action_dim: int, **settings: Unpack[PPOKeywords]) -> None:
        super().__init__(state_dim, n_neurons, action_dim, **settings)
        n_windows = self.n_envs * self.settings.rollout_steps // self.settings.sequence_length
        self._order = Stream(self.seeds, "minibatches", lambda g, out: g.random(out=out), (n_windows,))
        self.exploration.log_std = cast(LiquidHead, self._actor).log_std
        critic = reader(self.learner.modules["critic"])
        size = critic.state_size if isinstance(critic, RecurrentCritic) else 0
        carried = self.experience.carried
        shape = self.n_seeds, self.n_envs, size
        allowance.take(self.n_seeds * self.n_envs * size // _STATES_PER_WEIGHT, "n_envs")
        with as_by_default():
            self.critic_hidden = carried["critic_hidden"] = torch.zeros(shape, dtype=torch.float32, device=self.device)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and the critic."""
        s = self.settings
        log_std = None if s.discrete else float(np.log(s.initial_std))
        return {"actor": make_head(self, s.action_dim, gain=0.01, log_std=log_std), "critic": make_value(self)}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, "critic": self.settings.critic_lr}

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        """Name none: no network has a slowly following target."""
        return ()

    @property
    def discrete(self) -> bool:
        """Return whether actions are discrete, or numbers."""
        return self.settings.discrete

    def configure_exploration(self) -> RolloutSampling:
        """Draw actions from the policy."""
        s = self.settings
        return RolloutSampling(self.seeds, s.action_dim, n_envs=s.n_envs, discrete=s.discrete)

    def configure_experience(self) -> Rollouts:
        """Learn from rollouts."""
        return Rollouts(self, self.exploration)

    def distribution(self, out: Tensor) -> Distribution:
        """Make the distribution of actions from what the actor puts out, (S, B, T, K)."""
        log_std = self.exploration.log_std
        return Categorical(out) if log_std is None else Gaussian(out, log_std.detach())

    def training_step(self, rollout: Rollout) -> dict[str, Tensor]:
        """Go over the rollouts ``n_epochs`` times, in minibatches of windows.

        Shapes:
            rollout: (S, E, T, ...).
            returns: the means over the minibatches that each seed learned from, (S,).
        """
        s, length, rows = self.settings, self.settings.sequence_length, self.learner.rows
        advantage, returns, states = self.judge(rollout)
        self.critic_hidden[list(rows)] = states[list(rows), :, -1]
        windows, every = rollout.windows(length), [advantage.view(self.n_seeds, -1, length)]
        every += [returns.view(self.n_seeds, -1, length), states[:, :, :-1:length].flatten(1, 2)]
        made, counted = [], []
        for index in self._minibatches(max(1, self.experience.batch_size // length)):
            own = torch.arange(self.n_seeds, dtype=torch.int64, device=self.device).unsqueeze(1)
            counted.append([float(k in self.learner.rows) for k in range(self.n_seeds)])
            made.append(self.minibatch_step(windows.take(index), *(values[own, index] for values in every)))
            if s.target_kl is not None:
                kl = made[-1]["actor/kl"].tolist()
                self.learner.rows = tuple(k for k in self.learner.rows if kl[k] <= 1.5 * s.target_kl)
                if not self.learner.rows:
                    break
        weight = torch.tensor(counted, dtype=torch.float32, device=self.device)
        weight = weight / weight.sum(0).clamp(min=1.0)
        return {name: (torch.stack([metrics[name] for metrics in made]) * weight).sum(0) for name in made[0]}

    def judge(self, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Estimate how much better each action was than its state, and what the critic should have said.

        Shapes:
            rollout: (S, E, T, ...).
            returns: advantages and returns, both scaled by ``reward_scale``, (S, E, T); the critic's states before the
                first step and after every one, (S, E, T + 1, H), where it has memory.
        """
        s = self.settings
        value, next_value, states = rollout_values(self.learner.networks["critic"], rollout, self.critic_hidden)
        discount = s.gamma**rollout.next_dt
        ended = torch.maximum(rollout.terminated, rollout.truncated)
        ended[:, :, :-1].clamp_(min=rollout.start[:, :, 1:])  # a run may stop, and another begin, within an episode
        target = s.reward_scale * rollout.reward + discount * (1.0 - rollout.terminated) * next_value
        advantage = generalised_advantage(target - value, ended, discount, decay=s.gae_lambda).to(self.device)
        return advantage, advantage + value, states

    def minibatch_step(
        self, batch: Rollout, advantage: Tensor, returns: Tensor, critic_hidden: Tensor
    ) -> dict[str, Tensor]:
        """Make one gradient step of actor and critic.

        Gradients are carried back by explicit calls; those of ratio, distribution and entropy are written out, since
        autograd would take longer than the networks.

        Shapes:
            batch: (S, B, T, ...). advantage, returns: (S, B, T). critic_hidden: (S, B, H).
            returns: metrics of shape (S,).
        """
        s, run, math = self.settings, self.learner.networks, self.learner.backend
        spread = advantage.std((1, 2), correction=0, keepdim=True)
        normalised = (advantage - advantage.mean((1, 2), keepdim=True)) / (spread + 1e-8)

        out, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden[:, :, 0], dt=batch.dt, resets=batch.start)
        pi = self.distribution(out)
        surrogate = clipped_loss(pi.log_prob(batch.action), batch.log_prob, normalised, clip=s.clip_range)
        entropy = mean_per_seed(pi.entropy())
        gradient = pi.gradient(batch.action, surrogate.gradient, -s.entropy_bonus / advantage[0].numel())
        actor_loss = surrogate.loss - s.entropy_bonus * entropy
        self.optimize("actor", actor_loss, lambda: self._pull(pull_actor, gradient))

        memory: dict[str, Any] = {"hidden": critic_hidden, "dt": batch.dt, "resets": batch.start}
        value, pull_critic = run["critic"].vjp(batch.critic_obs, **(memory if run["critic"].has_memory else {}))
        critic_loss = math.squared_error(value.squeeze(3), returns)
        self.optimize("critic", critic_loss.loss, lambda: pull_critic.parameters(critic_loss.gradient.unsqueeze(3)))
        return {
            "actor/loss": actor_loss, "critic/loss": critic_loss.loss, "actor/entropy": entropy,
            "actor/kl": surrogate.kl, "actor/clipped": surrogate.clipped,
        }  # fmt: skip

    def _pull(self, pull_actor: Pullback, gradient: PolicyGradient) -> None:
        pull_actor.parameters(gradient.out)
        log_std = self.exploration.log_std
        if log_std is not None and gradient.log_std is not None:
            if log_std.grad is None:  # after somebody's zero_grad
                self.learner.held.show_gradients("actor")
            assert log_std.grad is not None  # a view of the network's flat gradient
            log_std.grad.copy_(gradient.log_std)

    def _minibatches(self, size: int) -> Iterator[Tensor]:
        """Yield which windows (S, B) belong together, every window once in each epoch, in an order of its own."""
        for epoch in range(self.settings.n_epochs):
            positions = [p.update * self.settings.n_epochs + epoch for p in self.progress]
            order = torch.from_numpy(self._order.at(positions).argsort(1)).to(self.device)
            for begin in range(0, order.shape[1], size):
                yield order[:, begin : begin + size]

    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""
        super().reseed()
        self._order.reseed(self.seeds)
