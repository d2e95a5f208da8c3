"""Updates from windows of a buffer: recorded once and replayed, or made step by step with the hooks inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from velora.buffers import Batch, ReplayBuffer
from velora.core.types import Metrics
from velora.kernels.arrays.namespace import Values
from velora.models.agent import Agent
from velora.models.experience.part import AgentPart
from velora.models.learner import Source, Update, can_record
from velora.models.normalisation import NormalisedReplay
from velora.training.experience import Count


class ReadSource(Source, Protocol):
    """Source of batches that are read before a program is started, outside of it."""

    def read(self, uniform: Values, length: int, device: torch.device) -> None:
        """Read the windows that ``uniform`` (S, B) chooses; see :class:`NormalisedReplay`."""
        ...


class Lesson(Protocol):
    """What is learned from windows in place of the agent's own update, by every seed in every update."""

    @property
    def replays(self) -> bool:
        """Return whether its step may be recorded and replayed, as :class:`velora.models.Agent` says."""
        ...

    @property
    def source(self) -> ReadSource:
        """Return what reads the windows."""
        ...

    def training_step(self, batch: Batch) -> Metrics:
        """Make one update; return detached metrics of shape (S,)."""
        ...


class Updates(AgentPart):
    """The updates of one agent from the windows of one buffer, one after the other.

    Args:
        agent: has the settings of windows.
        buffer: holds what is learned from.
        lesson: what is learned; ``None`` is the agent's ``training_step``.

    Attributes:
        window: steps of a window (T), burn-in and all.
        is_recorded: whether updates are recorded and replayed, where no hook looks into them.
    """

    def __init__(self, agent: Agent, buffer: ReplayBuffer, *, lesson: Lesson | None = None) -> None:
        super().__init__(agent)
        self.buffer, s, self._lesson = buffer, agent.settings, lesson
        self.window: int = s.burn_in + s.sequence_length
        self.is_recorded = False
        self._source: ReadSource | None = None
        if lesson is not None:
            self._source = lesson.source
        elif agent.normaliser is not None:
            self._source = NormalisedReplay(buffer, agent.normaliser)
        self._batch_size = 0
        self._uniform: Values = None  # of this batch size, where they are drawn again and again
        self._rows: tuple[int, ...] = ()
        self._parts: list[_Part] = []
        self._metrics: dict[str, Tensor] = {}
        self._newest: Update | None = None

    def carry_on(self, metrics: Metrics) -> None:
        """Take over what the updates before a resume reported, each (S,)."""
        self._metrics = dict(metrics)

    def prepare(self) -> None:
        """Build the optimizers, and find out whether updates can be recorded."""
        agent = self.agent
        agent.learner.guard.reset()
        self._newest = None
        networks, optimizers = list(agent.learner.networks.values()), list(agent.optimizers.values())
        replays = agent.replays if self._lesson is None else self._lesson.replays
        self.is_recorded = agent.record and replays and can_record(agent.kernel, networks, optimizers)

    def begin(self, batch_size: int, rows: tuple[int, ...]) -> None:
        """Begin an update of these seeds, from what is stored now.

        Where no hook looks into it, it is replayed as one program, on other threads if there are any.
        """
        agent = self.agent
        self._rows, self._parts = rows, self._parted(agent, rows)
        if batch_size != self._batch_size:
            self._batch_size, self._uniform = batch_size, agent.draws.uniform("sampling", batch_size)
        if self.is_recorded and not agent.hooks.look_into_updates:
            self._start(agent, self._parts[0])

    def _step(self, agent: Agent) -> Callable[[Batch], Metrics]:
        return agent.training_step if self._lesson is None else self._lesson.training_step

    def _parted(self, agent: Agent, rows: tuple[int, ...]) -> list[_Part]:
        """Split seeds into those whose policy is due and the rest; they may have made different numbers of updates."""
        parts: list[_Part] = []
        for alike in agent.tuning.parts(rows):
            due = alike
            if self._lesson is None:
                due = tuple(k for k in alike if agent.improves_policy(agent.progress[k].update))
            rest = tuple(k for k in alike if k not in due)
            parts += [_Part(part, learns_policy=part is due) for part in (due, rest) if part]
        return parts

    def _start(self, agent: Agent, part: _Part) -> None:
        if agent.learner.guard.is_far:
            self._look(agent, self._newest)
        agent.learner.rows, agent.learns_policy = part.rows, part.learns_policy
        agent.draws.advance()
        uniform = self._uniform
        source: Source = self.buffer
        if self._source is not None:
            self._source.read(uniform, self.window, agent.device)
            source = self._source
        part.update = self._program(agent, part, source, uniform)
        part.update.program.start(part.rows, agent.threads)
        self._newest = part.update

    def _program(self, agent: Agent, part: _Part, source: Source, uniform: Values) -> Update:
        program, step = agent.learner.program, self._step(agent)
        if not agent.tuning:
            return program(part.learns_policy, self.window, source, uniform, step)
        first = part.rows[0]
        with agent.tuning.applied(first):
            return program((part.learns_policy, agent.tuning.baked(first)), self.window, source, uniform, step)

    @staticmethod
    def _look(agent: Agent, update: Update | None) -> None:
        """Note what a program has found that isn't finite."""
        if update is not None:
            guard = agent.learner.guard
            guard.note(update.judged)
            if guard.faults:
                guard.trace(agent.learner.modules, update.batch)

    def finish(self, update: int, count: Count) -> Metrics:
        """Wait for the update, or make it now, with the hooks around it.

        The metrics of a program, and its batch, are overwritten by the next update.
        """
        agent, batch = self.agent, None
        if self._parts[0].update is None:
            batch = self._sampled(agent)
            for hook in agent.hooks.on_train_batch_start:
                hook(batch, update)
        for part in self._parts:
            self._report(part.rows, self._made(agent, part) if batch is None else self._stepwise(agent, part, batch))
        count(self._rows, self._metrics)
        if agent.hooks.on_train_batch_end:
            if batch is None:
                assert self._parts[-1].update is not None
                batch = self._parts[-1].update.batch
            for hook in agent.hooks.on_train_batch_end:
                hook(self._metrics, batch, update)
        return self._metrics

    def _sampled(self, agent: Agent) -> Batch:
        batch = self.buffer.sample(agent.draws.uniform("sampling", self._batch_size), self.window, agent.device)
        if agent.normaliser is not None:
            agent.normaliser.fit(batch)
        return batch

    def _stepwise(self, agent: Agent, part: _Part, batch: Batch) -> Metrics:
        agent.learner.rows, agent.learns_policy = part.rows, part.learns_policy
        with agent.tuning.applied(part.rows[0]):
            metrics = self._step(agent)(batch)
        agent.learner.guard.trace(agent.learner.modules, batch)
        return metrics

    def _made(self, agent: Agent, part: _Part) -> Metrics:
        if part.update is None:
            self._start(agent, part)
        assert part.update is not None
        part.update.program.wait()
        if not agent.learner.guard.is_far:
            self._look(agent, part.update)
        if agent.learner.norms is not None:
            agent.learner.norms |= {judged.network: judged.norms for judged in part.update.judged}
        return part.update.metrics

    def _report(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        """Take over the metrics of these seeds; what an update doesn't report stays as the last one left it."""
        if len(rows) == self.agent.n_seeds or not self._metrics.keys() >= metrics.keys():
            self._metrics = {**self._metrics, **metrics}
            return
        where = list(rows)
        for name, value in metrics.items():
            known = self._metrics[name] = self._metrics[name].clone()
            known[where] = value[where]


class _Part:
    """Seeds that learn the same things in one update; ``update`` is its program once it was started."""

    def __init__(self, rows: tuple[int, ...], *, learns_policy: bool) -> None:
        self.rows, self.learns_policy = rows, learns_policy
        self.update: Update | None = None
