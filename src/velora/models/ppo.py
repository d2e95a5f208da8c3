"""Proximal policy optimisation with a liquid policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from velora.buffers import Rollout
from velora.checkpoint.registry import agents
from velora.core.streams import Stream
from velora.models.circuits import make_head, make_value
from velora.models.on_policy import OnPolicyAgent
from velora.models.recurrence import rollout_values
from velora.models.settings import PPOSettings, Settings
from velora.nn.networks.critics import RecurrentCritic
from velora.nn.networks.images import reader
from velora.nn.run.network import Pullback
from velora.ops.losses import clipped_loss, mean_per_seed
from velora.ops.policies import PolicyGradient
from velora.ops.returns import generalised_advantage


@agents.register("liquid_ppo")
class LiquidPPO(OnPolicyAgent):
    """Improve a stochastic liquid policy on what it has just lived, in steps that stay near it.

    Args:
        state_dim: numbers in an observation (O), once it is flattened.
        n_neurons: inter and command neurons of the policy, at least 3; as many motor neurons as ``action_dim`` come on
            top.
        action_dim: numbers in an action, or how many discrete actions there are (A).
        discrete: whether an action is one of ``action_dim`` choices.
        cell: ``"cfc"``, ``"ltc"``, ``"leaky"``, ``"gru"``, ``"lstm"`` or ``"memoryless"``.
        cell_mode: ``"default"``; of a CfC also ``"pure"`` or ``"no_gate"``, of a leaky cell ``"no_reset"``.
        mixed_memory: put an LSTM before the policy's liquid cell, so that long memory doesn't fade; a critic gets none.
        wiring: between the policy's layers: ``"ncp"``, ``"random"``, with as many synapses, or ``"dense"``, with all.
        sparsity: share of missing synapses between the policy's layers, in [0.1, 0.9].
        time: how the networks are told how much has passed: ``"gate"``, as the ``dt`` of their cells; ``"input"``, as a
            number beside the observation; ``"both"`` or ``"none"``.
        critic: ``"dense"``, or ``"recurrent"``: a layer of the policy's cell (of a CfC for ``"ltc"``) that remembers
            what came before, for partly observed tasks.
        critic_units: sizes of the critic's hidden layers; of a recurrent one the first is the cell. Only the policy has
            to be small.
        optimizer: ``"adam"``, ``"adamw"``, ``"rmsprop"`` or ``"sgd"``.
        actor_lr, critic_lr: learning rates.
        gamma: discount per control step.
        gae_lambda: how far advantages look beyond the next value, in [0, 1].
        n_envs: environments that each seed acts in at once (E), with one pass of the policy for all of them.
        rollout_steps: steps of each environment between two phases of learning, a multiple of ``sequence_length``; a
            seed learns from ``n_envs`` times as many.
        n_epochs: how often each phase goes over them.
        sequence_length: steps of a window that is learned from, by backpropagation through time. A minibatch holds as
            many windows as ``batch_size`` steps fill.
        clip_range: how far the ratio of new to old probability may move from 1 and still be rewarded.
        entropy_bonus: weight of the policy's entropy, which it is rewarded for.
        target_kl: divergence from the policy that acted, in nats; a seed whose minibatch exceeds it one and a half
            times learns no more in this phase. ``None`` is no limit.
        initial_std: deviation of continuous actions to begin with, as a share of half the action range.
        grad_clip: largest gradient norm of a network and seed; ``None`` doesn't clip.
        reward_scale: factor on rewards inside the critic's loss.
        normalize_obs: show the networks observations less the mean of those met in training, over their deviation.
        normalize_returns: learn from rewards over the deviation of their discounted sums; ``reward_scale`` stays.
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
    settings_type: ClassVar[type[Settings]] = PPOSettings
    settings: PPOSettings

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
        actor_lr: float = 1e-3,
        critic_lr: float = 1e-3,
        gamma: float = 0.99,
        gae_lambda: float = 0.95,
        n_envs: int = 1,
        rollout_steps: int = 2_048,
        n_epochs: int = 10,
        sequence_length: int = 8,
        clip_range: float = 0.2,
        entropy_bonus: float = 0.0,
        target_kl: float | None = None,
        initial_std: float = 1.0,
        grad_clip: float | None = 0.5,
        reward_scale: float = 0.1,
        normalize_obs: bool = False,
        normalize_returns: bool = False,
        image: Sequence[int] | None = None,
        image_range: Sequence[float] | None = None,
        device: str | torch.device | None = None,
        kernel: str = "auto",
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in PPOSettings.model_fields}
        super().__init__(settings, device=device, kernel=kernel, seed=seed, seeds=seeds)
        n_windows = self.n_envs * self.settings.rollout_steps // self.settings.sequence_length
        self._order = Stream(self.seeds, "minibatches", lambda g, out: g.random(out=out), (n_windows,))
        critic_network = reader(self.networks["critic"])
        size = critic_network.state_size if isinstance(critic_network, RecurrentCritic) else 0
        self.critic_hidden = torch.zeros(self.n_seeds, self.n_envs, size, device=self.device)

    def configure_networks(self) -> dict[str, nn.Module]:
        """Build the liquid actor and the critic."""
        s = self.settings
        log_std = None if s.discrete else float(np.log(s.initial_std))
        return {"actor": make_head(self, s.action_dim, gain=0.01, log_std=log_std), "critic": make_value(self)}

    def learning_rates(self) -> Mapping[str, float]:
        """Name the trained networks with their learning rates."""
        return {"actor": self.settings.actor_lr, "critic": self.settings.critic_lr}

    # ------------------------------------------------------------------------------------------------- the algorithm

    def learn(self, rollout: Rollout, batch_size: int, rows: tuple[int, ...]) -> dict[str, Tensor]:
        """Go over the rollouts ``n_epochs`` times, in minibatches of windows; see :class:`OnPolicyAgent`.

        Returns:
            The means over the minibatches that each seed learned from, (S,).
        """
        s, length = self.settings, self.settings.sequence_length
        advantage, returns, states = self.judge(rollout)
        self.critic_hidden[list(rows)] = states[list(rows), :, -1]
        windows, every = rollout.windows(length), [advantage.view(self.n_seeds, -1, length)]
        every += [returns.view(self.n_seeds, -1, length), states[:, :, :-1:length].flatten(1, 2)]
        self.learner.rows = rows
        made, counted = [], []
        for index in self._minibatches(max(1, batch_size // length)):
            own = torch.arange(self.n_seeds, device=self.device).unsqueeze(1)
            counted.append([float(k in self.learner.rows) for k in range(self.n_seeds)])
            made.append(self.training_step(windows.take(index), *(values[own, index] for values in every)))
            if s.target_kl is not None:
                kl = made[-1]["actor/kl"].tolist()
                self.learner.rows = tuple(k for k in self.learner.rows if kl[k] <= 1.5 * s.target_kl)
                if not self.learner.rows:
                    break
        weight = torch.tensor(counted, device=self.device)
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

    def training_step(
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

        memory: dict[str, Any] = {}
        if run["critic"].has_memory:
            memory = {"hidden": critic_hidden, "dt": batch.dt, "resets": batch.start}
        value, pull_critic = run["critic"].vjp(batch.obs, **memory)
        critic_loss = math.squared_error(value.squeeze(3), returns)
        self.optimize("critic", critic_loss.loss, lambda: pull_critic.parameters(critic_loss.gradient.unsqueeze(3)))
        return {
            "actor/loss": actor_loss,
            "critic/loss": critic_loss.loss,
            "actor/entropy": entropy,
            "actor/kl": surrogate.kl,
            "actor/clipped": surrogate.clipped,
        }

    def _pull(self, pull_actor: Pullback, gradient: PolicyGradient) -> None:
        pull_actor.parameters(gradient.out)
        flat = self.learner.flats["actor"]
        if gradient.log_std is not None:
            assert flat.gradient is not None
            name = "network.log_std" if self.sees_images else "log_std"
            flat.view(flat.gradient, name).copy_(gradient.log_std)

    def _minibatches(self, size: int) -> Iterator[Tensor]:
        """Yield which windows (S, B) belong together, every window once in each epoch, in an order of its own."""
        for epoch in range(self.settings.n_epochs):
            positions = [p.update * self.settings.n_epochs + epoch for p in self.progress]
            order = torch.from_numpy(self._order.at(positions).argsort(1)).to(self.device)
            for begin in range(0, order.shape[1], size):
                yield order[:, begin : begin + size]

    # ------------------------------------------------------------------------------------------------------ resuming

    def training_state(self, seed_index: int) -> dict[str, Any]:
        """Return the state that a recurrent critic has reached."""
        return {"critic_hidden": self.critic_hidden[seed_index].clone()}

    def load_training_state(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        self.critic_hidden[seed_index] = state["critic_hidden"].view(self.critic_hidden[seed_index].shape)

    def reseed(self) -> None:
        """Draw for the seeds that ``seeds`` names from now on."""
        super().reseed()
        self._order.reseed(self.seeds)
