"""Experience that is replayed: a ring of transitions for each seed, and updates from windows of it at every step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from velora.buffers import DeviceReplayBuffer, ReplayBuffer
from velora.buffers.budget import check_memory
from velora.core import devices
from velora.core.errors import SettingError
from velora.core.types import Metrics
from velora.models.agent import Agent
from velora.models.experience.part import AgentPart
from velora.models.experience.updates import Updates
from velora.training.experience import Count, Experience
from velora.training.resume import form

TAUGHT = "teacher"
"""Member of the state of a run whose actions are a teacher's, as :mod:`velora.distill` keeps them."""
_TEACHER = {"digest": "", "memory": None}
LABEL = "label"
"""Member of a transition that such a run's step has begun with: what the teacher would do."""


def make_buffer(agent: Agent, capacity: int) -> ReplayBuffer:
    """Make a buffer of an agent's sizes, where the agent keeps experience."""
    make = partial(DeviceReplayBuffer, device=agent.device) if agent.keeps_on_device else ReplayBuffer
    return make(capacity, n_seeds=agent.n_seeds, **agent.row_sizes(agent.state_size))


class Replay(AgentPart, Experience):
    """The newest transitions of each seed, of which windows are learned from as often as they are drawn.

    A seed learns once its random warm-up is over and a batch is stored. Where several updates are due in a step, the
    first is made while the environments step, and the others after it; all learn from what was stored before the step.

    Args:
        agent: has the settings ``buffer_size``, ``warmup_steps``, ``sequence_length`` and ``burn_in``; its
            ``training_step`` is given a :class:`velora.buffers.Batch`.
        updates_per_step: 1, several, or a fraction, such as 0.25 for an update in every fourth step. Which steps of a
            seed's life they fall in depends on that life alone. ``None`` takes the setting of that name.
    """

    def __init__(self, agent: Agent, *, updates_per_step: float | None = None) -> None:
        super().__init__(agent)
        setting: int = agent.settings.updates_per_step
        self.updates_per_step: float = setting if updates_per_step is None else updates_per_step
        self._are_ready: tuple[int, ...] = ()
        self._batch_size = 0
        self._rounds: list[tuple[int, ...]] = []

    # ------------------------------------------------------------------------------------------------------- storing

    def check_memory(self) -> None:
        """Refuse more seeds than memory holds; see :class:`Experience`."""
        agent, s = self.agent, self.agent.settings
        on_device = agent.keeps_on_device
        check_memory(
            agent.n_seeds,
            capacity=s.buffer_size,
            row_width=ReplayBuffer.width(**agent.row_sizes(agent.state_size_of_one())),
            purpose=f"replay on {agent.device}" if on_device else "replay",
            available=devices.available_bytes(agent.device) if on_device else None,
        )

    @cached_property
    def buffer(self) -> ReplayBuffer:
        """The replay buffer, allocated when it is first needed."""
        if self.agent.sees_images:
            self.check_memory()
        return make_buffer(self.agent, self.agent.settings.buffer_size)

    @cached_property
    def updates(self) -> Updates:
        """Updates that are made from the buffer."""
        return Updates(self.agent, self.buffer)

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the ``incoming`` transition of these seeds, and count it in the statistics that normalise the next."""
        self.buffer.append(rows)
        normaliser = self.agent.normaliser
        if normaliser is not None:
            where = list(rows)
            new = {n: self.buffer.incoming[n][where] for n in ("obs", "reward", "dt", "start")}
            normaliser.count_observations(rows, new["obs"][:, None])
            if self.agent.privileged:
                normaliser.count_privileged(rows, self.buffer.incoming["privileged"][where][:, None])
            normaliser.count_rewards(rows, *(new[name][:, None] for name in ("reward", "dt", "start")))

    # ------------------------------------------------------------------------------------------------------ learning

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that is larger than the buffer; see :class:`Experience`."""
        size = self.agent.settings.buffer_size
        if batch_size > size:
            raise SettingError(
                f"batch_size: {batch_size} is more than the {size} transitions that the buffer holds; lower batch_size "
                "or raise buffer_size"
            )

    def prepare(self) -> None:
        """Allocate the buffer, build the optimizers, and find out how updates are made."""
        self._are_ready = ()
        self.updates.prepare()

    def warming_up(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        """Choose the seeds that have lived fewer steps than ``warmup_steps``, in all runs together."""
        if self._are_ready == rows:
            return ()
        agent = self.agent
        warmup_steps: int = agent.settings.warmup_steps
        return tuple(k for k in rows if agent.progress[k].step < warmup_steps)

    def due(self, rows: tuple[int, ...], batch_size: int) -> tuple[int, ...]:
        """Choose the seeds with enough experience, for which an update falls in this step."""
        ready = rows
        if self._are_ready != rows:
            needed = max(batch_size, self.updates.window)
            warm = self.warming_up(rows)
            ready = tuple(k for k in rows if k not in warm and self.buffer.size(k) >= needed)
            if ready == rows:
                self._are_ready = rows  # and will be from now on: neither lives nor buffers grow shorter
        return ready if self.updates_per_step >= 1 else tuple(k for k in ready if self._n_due(k))

    def _n_due(self, seed_index: int) -> int:
        """Count the updates that fall in the step which a seed takes next."""
        step = self.agent.progress[seed_index].step
        return int((step + 1) * self.updates_per_step) - int(step * self.updates_per_step)

    @property
    def faults(self) -> Mapping[int, str]:
        """Faults of updates; see :class:`Experience`."""
        return self.agent.learner.guard.faults

    def begin(self, batch_size: int, rows: tuple[int, ...]) -> int:
        """Begin the first update of this step; return how many are due."""
        self._batch_size, self._rounds = batch_size, [rows]
        if self.updates_per_step != 1:
            n_due = {k: self._n_due(k) for k in rows}
            self._rounds = [tuple(k for k in rows if n_due[k] > made) for made in range(max(n_due.values()))]
        self.updates.begin(batch_size, self._rounds[0])
        return len(self._rounds)

    def finish(self, update: int, count: Count) -> Metrics:
        """Finish that, and make the other updates that are due."""
        metrics = self.updates.finish(update, count)
        for made, rows in enumerate(self._rounds[1:], start=1):
            self.updates.begin(self._batch_size, rows)
            metrics = self.updates.finish(update + made, count)
        return metrics

    # ------------------------------------------------------------------------------------------------------ resuming

    def carry_on(self, metrics: Metrics) -> None:
        """Take over what the updates before a resume reported."""
        self.updates.carry_on(metrics)

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the exploration noise."""
        return {"exploration": self.agent.exploration.state_dict(seed_index)}

    def find_state_fault(self, state: Mapping[str, Any], seed_index: int = 0) -> str | None:
        """See :class:`Experience`; a state may be of a run that has a teacher."""
        own = {name: value for name, value in state.items() if name != TAUGHT}
        if TAUGHT in state and (fault := form.difference(_TEACHER, state[TAUGHT], f"experience.{TAUGHT}")):
            return fault
        return super().find_state_fault(own, seed_index)

    def find_begun_fault(
        self, begun: Mapping[str, Tensor], state: Mapping[str, Any], seed_index: int = 0
    ) -> str | None:
        """See :class:`Experience`; a run that has a teacher keeps its label beside the row."""
        own = self.begun(seed_index)
        if TAUGHT in state:
            own[LABEL] = torch.from_numpy(self.buffer.incoming["action"][:1, None])
        else:
            own.pop(LABEL, None)
        return form.difference(own, begun, "begun")

    def find_resume_fault(self, state: Mapping[str, Any]) -> str | None:
        """Return why the rows can't be learned from, if their actions are a teacher's."""
        if TAUGHT not in state:
            return None
        return (
            "the run learns from a teacher, whose actions its rows hold; go on with it by velora distill, or load the "
            "agent and train it anew"
        )

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        self.agent.exploration.load_state_dict(state["exploration"], seed_index)
