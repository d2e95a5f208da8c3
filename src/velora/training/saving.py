"""Checkpoints that are written while training goes on, from a copy of what they hold."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from velora.checkpoint.contents import Contents
from velora.checkpoint.files import NonFiniteCheckpointError
from velora.training.lane import Lane

log = logging.getLogger(__name__)

Failed: TypeAlias = Callable[[OSError], object]
"""Told that the system refused a save."""


@dataclass(slots=True)
class _Job:
    """One save: what it writes, and what came of that."""

    seed_index: int
    path: Path
    contents: Contents | None
    first: Callable[[], object]
    failed: Failed | None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write; the copy goes with it."""
        try:
            assert self.contents is not None
            self.first()
            self.path = self.contents.write(self.path)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked for the save
            self.error = error
        finally:
            self.contents = None
            self.done.set()


class Saving:
    """Write checkpoints one after another in a thread beside training, and tell of each in training's own thread.

    At most one save of each seed is under way, so that beside what it trains a run holds one copy of it at most.

    Args:
        saved: told where a checkpoint is, once the disk has it.
        lose: told which seed isn't to go on, and why: what it holds is NaN or infinity.

    Attributes:
        is_busy: a save is under way, or nobody was told yet that it is done.
    """

    def __init__(self, saved: Callable[[Path], object], lose: Callable[[int, str], object]) -> None:
        self.is_busy = False
        self._saved, self._lose = saved, lose
        self._jobs: list[_Job] = []
        self._queue: queue.SimpleQueue[_Job | None] | None = None

    def now(self, lane: Lane, path: Path, contents: Contents) -> None:
        """Write a checkpoint before this returns, and tell of it.

        Raises:
            CheckpointError: if it can't be written; where a weight is NaN or infinity it names the seed and the step.
        """
        try:
            self._saved(contents.write(path))
        except NonFiniteCheckpointError as error:
            raise NonFiniteCheckpointError(f"seed {lane.seed}: after {lane.step} steps: {error}") from error

    def begin(
        self, seed_index: int, path: Path, contents: Contents, *, first: Callable[[], object], failed: Failed | None
    ) -> None:
        """Write a checkpoint in the background; the seed must have no save under way.

        Contents that are no copy are written before this returns.

        Args:
            first: what has to be done before it is written.
            failed: told, instead of an error, that the system refused it.
        """
        job = _Job(seed_index, path, contents, first, failed)
        if not contents.is_copy:
            job.run()
            self._tell(job)
            return
        self._jobs.append(job)
        self.is_busy = True
        if self._queue is None:
            self._queue = queue.SimpleQueue()
            # A daemon, since a run waits for its saves at its end: the process has nothing left to wait for.
            threading.Thread(target=_work, args=(self._queue,), name="velora-save", daemon=True).start()
        self._queue.put(job)

    def catch_up(self) -> None:
        """Tell of the saves that are done by now.

        Raises:
            Exception: that of a save, unless the system refused it and somebody asked to be told.
        """
        while self._jobs and self._jobs[0].done.is_set():
            self._tell(self._jobs.pop(0))

    def finish(self, seed_index: int | None = None) -> None:
        """Wait for every save, or for that of a seed and those before it, and tell of them.

        Raises:
            Exception: as :meth:`catch_up`.
        """
        while self._jobs and (seed_index is None or any(job.seed_index == seed_index for job in self._jobs)):
            self._jobs[0].done.wait()
            self.catch_up()

    def give_up(self) -> None:
        """Wait for every save of a run that failed; what fails of them too is logged."""
        while self._jobs:
            try:
                self.finish()
            except Exception as error:  # noqa: BLE001 - there is an error already, which goes on
                log.error("not saved: %s", error)

    def close(self) -> None:
        """Wait for what is left, as :meth:`give_up` does, and let the thread end."""
        self.give_up()
        self._saved = self._lose = _nobody  # who was told holds this: a cycle of references, which would keep the agent
        if self._queue is not None:
            self._queue.put(None)
            self._queue = None

    def _tell(self, job: _Job) -> None:
        self.is_busy = bool(self._jobs)
        if job.error is None:
            self._saved(job.path)
        elif isinstance(job.error, OSError) and job.failed is not None:
            job.failed(job.error)
        elif isinstance(job.error, NonFiniteCheckpointError):
            self._lose(job.seed_index, f"save into {job.path.name}/: {job.error}")
        else:
            raise job.error


def _nobody(*told: object) -> None:
    """Be told of nothing."""


def _work(jobs: queue.SimpleQueue[_Job | None]) -> None:
    """Write one checkpoint after another; a thread that waits for the next costs training nothing, unlike a new one."""
    while (job := jobs.get()) is not None:
        job.run()
