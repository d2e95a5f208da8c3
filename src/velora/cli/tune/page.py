"""The page of a study in its own directory, which is there while the study runs, and after a kill."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from velora.cli.command.arguments import written
from velora.cli.run import run_directory
from velora.cli.tune import report
from velora.cli.tune.outcome import Outcome, look
from velora.core.errors import VeloraError

if TYPE_CHECKING:
    import optuna

EVERY_S: Final = 60.0
_SHARE: Final = 0.05
"""The most of the time that pages may take."""
log = logging.getLogger(__name__)


def write(outcome: Outcome) -> Path | None:
    """Write the page and its pictures, and return the page; ``None``, with a warning, if that fails."""
    page = outcome.home / report.PAGE
    command = f"velora tune {written('show', str(run_directory.shown(outcome.home.absolute())))}"
    try:
        report.write_page(outcome, page, command=command, pictures=outcome.home / report.PICTURES)
    except (OSError, VeloraError) as error:
        log.warning("the page was not written: %s", error)
        return None
    return page


class LivePage:
    """The page of a study that runs, made anew when trials have ended, once a minute at most."""

    def __init__(self, home: Path, study: optuna.Study, *, n_ended: int, every_s: float = EVERY_S) -> None:
        """Begin; the first page is due after ``every_s`` seconds.

        Args:
            home: the study's directory.
            study: what is looked at.
            n_ended: how many trials have ended already.
            every_s: seconds between two pages; more, where making one takes long.
        """
        self._home, self._study, self._every_s = home, study, every_s
        self._n_ended, self._due_s = n_ended, time.monotonic() + every_s

    def refresh(self, n_ended: int) -> None:
        """Write the page if it is due, and trials have ended since the last one."""
        began_s = time.monotonic()
        if n_ended == self._n_ended or began_s < self._due_s:
            return
        write(look(self._home, self._study))
        self._n_ended, now_s = n_ended, time.monotonic()
        self._due_s = now_s + max(self._every_s, (now_s - began_s) / _SHARE)
