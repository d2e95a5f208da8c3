"""Learning while driving: updates in another thread, which no action ever waits for."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import NonFiniteError, SettingError
from velora.core.types import Metrics
from velora.drive.controller import Memory, sizes_of
from velora.drive.plant import Reading
from velora.models import Agent
from velora.models.experience.replay import Replay

MOST_WAITING = 1_000
"""Transitions that may wait for the learner; while more than a batch's share wait, they are stored without updates."""
_BEHIND = 50
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class _Step:
    """A reading, what it was acted on with, and the action, normalised."""

    obs: NDArray[np.float32]
    hidden: NDArray[np.float32]
    action: NDArray[np.float32]
    dt: float
    begins: bool


@dataclass(frozen=True, slots=True)
class _Transition:
    step: _Step
    next_obs: NDArray[np.float32]
    next_dt: float
    reward: float
    terminated: bool
    truncated: bool


class LearningController:
    """An agent that explores while it drives, and learns from that in another thread.

    Two copies of the policy: the loop acts with one, the learner improves the other. After every update the learner
    leaves its weights as one new array, and the loop copies that into its own before the next action: microseconds, and no
    lock. The updates run in the kernel, which gives Python's lock back meanwhile. If the learner falls behind, it stores
    and makes fewer updates; if it falls far behind, transitions are dropped and counted.

    Args:
        agent: of one seed, which learns; one that replays, such as :class:`velora.models.LiquidTD3`.
        batch_size: windows in one update.
        prepare: called in the learner's thread before it begins; by default it lets all others go first. Where the loop
            has a real-time priority, the learner needs a lower one: an ordinary thread may be stopped by any other
            program's while it holds Python's lock, and the loop then waits for both.

    Attributes:
        acting: the copy that the loop acts with.

    Raises:
        SettingError: if the agent can't learn so.
    """

    def __init__(
        self, agent: Agent, *, batch_size: int = 64, prepare: Callable[[], object] | None = None
    ) -> None:
        experience = agent.experience
        if not isinstance(experience, Replay):
            raise SettingError(
                f"learn: {type(agent).__name__} learns from whole rollouts of its newest policy; expected an agent that "
                "replays, such as LiquidTD3 or LiquidSAC"
            )
        self.sizes, self.agent = sizes_of(agent), agent
        if agent.device.type != "cpu":
            raise SettingError(f"learn: expected an agent on the CPU, got {agent.device}; load it with device=cpu")
        experience.check_batch_size(batch_size)
        self.name = f"{type(agent).__name__}, kernel {agent.kernel}, learning"
        self.acting = acting = agent.seed(0)
        self._memory = memory = Memory(acting)
        self._act = acting.acting(memory.obs, memory.hidden, memory.dt)
        self._values: Tensor = acting.learner.flats["actor"].values
        self._newest: Tensor | None = None
        self._last: _Step | None = None
        self._step = agent.progress[0].step
        self._warm = int(agent.settings.warmup_steps)
        self._learner = _Learner(agent, experience, batch_size, self._publish, prepare or be_nice)

    def start(self) -> None:
        """Begin to learn."""
        self._learner.start()

    @property
    def n_updates(self) -> int:
        """Updates made so far."""
        return self._learner.n_updates

    @property
    def n_dropped(self) -> int:
        """Transitions that the learner had no time for."""
        return self._learner.n_dropped

    @property
    def problem(self) -> str:
        """Why the learner has ended before its time."""
        return self._learner.problem

    @property
    def waiting(self) -> int:
        """Transitions that wait for the learner, and the one that it is at."""
        return self._learner.waiting

    def _publish(self, values: Tensor) -> None:
        self._newest = values

    def begin(self) -> None:
        """See :class:`velora.drive.controller.Controller`."""
        self._memory.hidden.zero_()
        self._last = None
        self.acting.begin_episode(0)

    @torch.inference_mode()
    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """See :class:`velora.drive.controller.Controller`."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._values.copy_(newest)
        memory = self._memory
        memory.put(reading.obs, dt)
        obs, hidden = memory.obs[0].copy(), memory.hidden[0, 0].numpy().copy()
        if self._last is not None:
            self._learner.take(
                _Transition(self._last, obs, dt, reading.reward, reading.terminated, reading.truncated)
            )
            self._step += 1
        action = self._act((0,), [self._step], (0,) if self._step < self._warm else ())
        ended = reading.terminated or reading.truncated
        self._last = None if ended else _Step(obs, hidden, action[0].copy(), dt, reading.begins)
        scaled = self.agent.bounds.to_environment(action)
        return scaled if self.sizes.is_discrete else scaled[0]

    def close(self) -> None:
        """End the learner, after the update that it is in."""
        self._learner.stop()


class _Learner:
    """The thread that stores transitions and makes updates."""

    def __init__(
        self,
        agent: Agent,
        experience: Replay,
        batch_size: int,
        publish: Callable[[Tensor], object],
        prepare: Callable[[], object],
    ) -> None:
        self._agent, self._experience, self._batch_size, self._publish = agent, experience, batch_size, publish
        self._prepare = prepare
        self._waiting: queue.SimpleQueue[_Transition | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="velora-learner", daemon=True)
        self.n_updates = self.n_dropped = 0
        self.problem, self._is_ended, self._is_busy = "", False, False

    def start(self) -> None:
        """Prepare and begin; the buffer is allocated and the update recorded before the loop runs."""
        agent = self._agent
        agent.configure_training(threads=1)
        _ = self._experience.buffer
        self._thread.start()

    def take(self, transition: _Transition) -> None:
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
        """End after the update that is being made."""
        self._is_ended = True
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        self._prepare()
        try:
            while not self._is_ended and (transition := self._waiting.get()) is not None:
                self._is_busy = True
                self._learn(transition)
                self._is_busy = False
        except (NonFiniteError, SettingError) as error:
            self.problem = str(error)

    def _learn(self, transition: _Transition) -> None:
        agent, experience = self._agent, self._experience
        due = experience.due((0,), self._batch_size) if self._waiting.qsize() < _BEHIND else ()
        if due:
            experience.begin(self._batch_size, due)
            experience.finish(agent.progress[0].update, self._count)
            for fault in experience.faults.values():
                raise NonFiniteError(f"update {agent.progress[0].update}: {fault}")
            self._publish(agent.learner.flats["actor"].values.detach().clone())
        self._store(transition)

    def _store(self, transition: _Transition) -> None:
        step, incoming = transition.step, self._experience.buffer.incoming
        fields = {
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
