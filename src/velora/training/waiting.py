"""Requests that wait for the end of a step, such as a save that a hook asks for in the middle of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class Waiting:
    """Do work at once, or while a step is under way at its end, in the order in which it was asked for.

    In the middle of a step the parts of a run don't fit together: the environments have answered, but the transition
    isn't stored; weights have changed, but the update isn't counted.

    Attributes:
        is_mid_step: whether a step is under way.
    """

    def __init__(self) -> None:
        self.is_mid_step = False
        self._work: list[tuple[str, Callable[[], object]]] = []

    def do(self, name: str, work: Callable[[], object]) -> None:
        """Do it now, or at the end of the step; ``name`` says in a warning that it wasn't done."""
        if self.is_mid_step:
            self._work.append((name, work))
        else:
            work()

    def catch_up(self) -> None:
        """Do all that has waited, after the step."""
        while self._work:
            _, work = self._work.pop(0)
            work()

    def give_up(self) -> None:
        """Forget, with a warning each, what has waited for the end of a step that failed."""
        self.is_mid_step = False
        for name, _ in self._work:
            log.warning("%s: not done, since the run failed before the end of the step it waited for", name)
        self._work.clear()
