"""Account of the checkpoints that are written while training goes on: when they are due, and what came of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from velora.callbacks.save_clock import SaveClock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Save:
    """A checkpoint of one seed that is being written; ``number`` is that of an ``epN`` or ``stepN``."""

    seed_index: int
    kind: str
    number: int | None = None

    @property
    def name(self) -> str:
        """The name of its directory."""
        return self.kind if self.number is None else f"{self.kind}{self.number}"


class OnTheWay:
    """Follow the saves of a run; tell of a row of failures once, and of its end.

    Attributes:
        clock: when each seed was saved last.
    """

    def __init__(self, clock: SaveClock) -> None:
        self.clock = clock
        self._under_way: dict[Path, Save] = {}
        self._is_failing = False

    def begin(self, path: Path, save: Save, *, step: int, undo: Callable[[], None]) -> Callable[[OSError], None]:
        """Note that a save begins, and return what is to be told if the system refuses it.

        Args:
            step: where the seed stands.
            undo: what such a failure takes back.
        """
        self.clock.saved(save.seed_index, step, time.monotonic())
        self._under_way[path] = save

        def fail(error: OSError) -> None:
            if not self._is_failing:
                logger.warning("not saved: %s; training goes on, and the next save tries again", error)
            self._is_failing = True
            self._under_way.pop(path, None)
            self.clock.failed(save.seed_index, time.monotonic())
            undo()

        return fail

    def end(self, path: Path) -> Save | None:
        """Note that a checkpoint is on the disk, and return what is known of it; ``None`` if it is none of these."""
        save = self._under_way.pop(path, None)
        if save is not None and self._is_failing:
            logger.warning("%s: can be written again; %s is saved", path.parent, path.name)
            self._is_failing = False
        return save
