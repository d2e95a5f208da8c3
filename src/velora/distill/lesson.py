"""What a student learns from labelled windows: to act as the teacher would have."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from velora.buffers import Batch, ReplayBuffer
from velora.buffers.replay import Windows
from velora.core.types import Metrics
from velora.kernels.arrays.namespace import Values
from velora.models.agent import Agent
from velora.models.experience.part import AgentPart
from velora.models.normalisation import Normaliser
from velora.ops.choice import Choice
from velora.ops.losses import mean_gradient
from velora.ops.policies import Categorical


class LabelledWindows:
    """Windows of a buffer whose actions are labels, for recorded updates; see :class:`NormalisedReplay`.

    The labels of a window are copied out of its rows, since losses read numbers that lie one after another.
    """

    def __init__(self, buffer: ReplayBuffer, normaliser: Normaliser | None) -> None:
        self._buffer, self._normaliser = buffer, normaliser
        self._memory: dict[tuple[int, int], tuple[Windows, Batch]] = {}

    def read(self, uniform: Values, length: int, device: torch.device) -> None:
        """Read the windows that ``uniform`` (S, B) chooses, for the programs that were recorded with :meth:`gather`."""
        key = uniform.shape[1], length
        if key not in self._memory:
            made = self._buffer.windows(uniform, length, device)
            self._memory[key] = made, replace(made.batch, action=torch.zeros_like(made.batch.action).contiguous())
        windows, batch = self._memory[key]
        windows.read()
        if self._normaliser is not None:
            self._normaliser.fit(windows.batch)
        batch.action.copy_(windows.batch.action)

    def gather(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """Return where :meth:`read` has put such windows, and will."""
        return self._memory[uniform.shape[1], length][1]


class Imitation(AgentPart):
    """Learn the teacher's actions with the actor alone: squared error of numbers, cross-entropy of choices.

    The state is that of the student, from which it acted when the window began; gradients are carried back through the
    window and its burn-in, as in the agent's own updates. Critics aren't touched. The actor's target follows, where it
    has one, so that an agent goes on learning by reinforcement from a target that acts as it does.

    Args:
        agent: the student.
        buffer: its buffer, where labels lie in the place of actions.
    """

    def __init__(self, agent: Agent, buffer: ReplayBuffer) -> None:
        super().__init__(agent)
        self.source = LabelledWindows(buffer, agent.normaliser)
        self.replays = agent.exploration.choice is not Choice.LARGEST

    def training_step(self, batch: Batch) -> Metrics:
        """Make one update.

        Shapes:
            batch: (S, B, burn_in + sequence_length, ...); its actions are labels.
            returns: metrics of shape (S,).
        """
        agent = self.agent
        actor = agent.learner.networks["actor"]
        out, pull = actor.vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
        metrics, d_out = self._choices(out, batch) if agent.discrete else self._numbers(out, batch)
        agent.optimize("actor", metrics["actor/loss"], lambda: pull.parameters(d_out))
        if "target_actor" in agent.learner.modules:
            agent.learner.follow(agent.settings.tau)
        return metrics

    def _numbers(self, out: Tensor, batch: Batch) -> tuple[Metrics, Tensor]:
        """Average ``(action - label)**2`` over all numbers of an action; return it with its gradient at ``out``.

        An actor that puts out means before tanh, and deviations, is compared in its greedy action ``tanh(mean)``.
        """
        ops, skip = self.agent.learner.backend, self.agent.settings.burn_in
        label = batch.action if batch.action.is_contiguous() else batch.action.contiguous()
        size = label.shape[3]
        is_squashed = self.agent.exploration.choice is Choice.TANH
        noise = torch.zeros_like(label) if is_squashed else label
        action = ops.squashed(out, noise).action if is_squashed else out
        loss = ops.squared_error(action.flatten(2), label.flatten(2), skip=skip * size)
        d_action = loss.gradient.view(label.shape)
        if is_squashed:
            d_action = ops.squashed_gradient(out, noise, (d_action,), label.new_zeros(label.shape[:3]))
        return {"actor/loss": loss.loss}, d_action

    def _choices(self, out: Tensor, batch: Batch) -> tuple[Metrics, Tensor]:
        """Average ``-log p(label)``; return it, and the share of steps with the same choice, with its gradient."""
        ops, skip = self.agent.learner.backend, self.agent.settings.burn_in
        pi = Categorical(out)
        log_prob = pi.log_prob(batch.action)
        loss = ops.mean(log_prob.contiguous(), factor=-1.0, skip=skip)
        d_out = pi.gradient(batch.action, mean_gradient(log_prob, factor=-1.0, skip=skip), 0.0)[0]
        same = (out.argmax(3, keepdim=True) == batch.action)[:, :, skip:].float().flatten(1).mean(1)
        return {"actor/loss": loss, "actor/agreement": same}, d_out
