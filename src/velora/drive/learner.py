"""The thread that learns from a drive: it stores transitions, and makes updates when it has time."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import NonFiniteError, SettingError
from velora.core.types import Metrics
from velora.models import Agent
from velora.models.experience.replay import Replay

MOST_WAITING = 1_000
"""Transitions that may wait for the learner; while more than a batch's share wait, they are stored without updates."""
_BEHIND = 50
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Step:
    """A reading, the recurrent state that it was acted on with, and the action, normalised."""

    obs: NDArray[np.float32]
    hidden: NDArray[np.float32]
    action: NDArray[np.float32]
    dt: float
    begins: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from a step: the next reading, and what was earned on the way."""

    step: Step
    next_obs: NDArray[np.float32]
    next_dt: float
    reward: float
    terminated: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Learned:
    """The weights of a policy and the statistics that normalise its observations; nothing changes them any more."""

    values: Tensor
    statistics: Mapping[str, Tensor]


class Learner:
    """The thread that stores transitions and makes updates.

    Args:
        publish: called with what was learned, after every update.
        prepare: called in the thread before it begins.

    Attributes:
        n_updates: made so far.
        n_dropped: transitions that came while too many waited.
        problem: why it has ended before its time; empty if it has not.
    """

    def __init__(
        self,
        agent: Agent,
        experience: Replay,
        batch_size: int,
        publish: Callable[[Learned], object],
        prepare: Callable[[], object],
    ) -> None:
        self._agent, self._experience, self._batch_size, self._publish = agent, experience, batch_size, publish
        self._prepare = prepare
        self._waiting: queue.SimpleQueue[Transition | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="velora-learner", daemon=True)
        self.n_updates = self.n_dropped = 0
        self.problem, self._is_busy = "", False

    def start(self) -> None:
        """Prepare and begin; the buffer is allocated and the update recorded before the loop runs."""
        agent = self._agent
        agent.configure_training(threads=1)
        _ = self._experience.buffer
        self._thread.start()

    def take(self, transition: Transition) -> None:
        """Take a transition; this never waits."""
        if self._waiting.qsize() >= MOST_WAITING:
            self.n_dropped += 1
        else:
            self._waiting.put(transition)

    @property
    def waiting(self) -> int:
        """Transitions that aren't stored yet."""
        return self._waiting.qsize() + self._is_busy

    def stop(self) -> None:
        """End when everything is learned from that waits."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        self._prepare()
        try:
            while (transition := self._waiting.get()) is not None:
                self._is_busy = True
                self._learn(transition)
                self._is_busy = False
        except (NonFiniteError, SettingError) as error:
            self.problem = str(error)

    def _learn(self, transition: Transition) -> None:
        agent, experience = self._agent, self._experience
        due = experience.due((0,), self._batch_size) if self._waiting.qsize() < _BEHIND else ()
        if due:
            experience.begin(self._batch_size, due)
            experience.finish(agent.progress[0].update, self._count)
            for fault in experience.faults.values():
                raise NonFiniteError(f"update {agent.progress[0].update}: {fault}")
            statistics = {} if agent.normaliser is None else agent.normaliser.tensors()
            values = agent.learner.flats["actor"].values.detach().clone()
            self._publish(Learned(values, {name: one.clone() for name, one in statistics.items()}))
        self._store(transition)

    def _store(self, transition: Transition) -> None:
        step, incoming = transition.step, self._experience.buffer.incoming
        fields: dict[str, Any] = {
            "obs": step.obs, "action": step.action, "reward": transition.reward, "next_obs": transition.next_obs,
            "terminated": transition.terminated, "truncated": transition.truncated, "dt": step.dt,
            "next_dt": transition.next_dt, "start": step.begins, "hidden": step.hidden,
        }  # fmt: skip
        for name, value in fields.items():
            incoming[name][0] = value
        self._experience.store((0,))
        self._agent.progress[0].step += 1

    def _count(self, rows: tuple[int, ...], metrics: Metrics) -> None:
        self._agent.progress[0].update += 1
        self.n_updates += 1


def be_nice() -> None:
    """Let the loop go first where there are fewer cores than threads; Linux has a niceness of each thread."""
    if hasattr(os, "setpriority"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        except OSError:
            return
