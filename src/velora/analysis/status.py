"""Tell what became of a run, from its directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from velora.analysis import outcome
from velora.analysis.outcome import Outcome, Status
from velora.core.errors import RunDirectoryError

STATUSES: Final = {
    "waiting": "its turn in a sweep has not come",
    "running": "a process trains it",
    "finished": "its budget is used up, or a callback stopped it",
    "interrupted": "a signal ended it; it can be resumed",
    "failed": "an error ended it",
    "dead": "its process was killed; it can be resumed from its newest checkpoint",
    "unknown": "it says that it runs, and there is no lock that could tell whether it does",
}
"""Every status of a run, and what it means."""

_ENDED: Final = {"finished": "finished", "stopped": "finished", "interrupted": "interrupted", "crashed": "failed"}
_CERTAIN: Final = {Status.RUNNING: "running", Status.DONE: "finished", Status.FAILED: "failed"}


def read_outcome(directory: Path) -> tuple[Outcome, str | None]:
    """Read what a run left when it ended, and what is wrong with that; a damaged file counts as none."""
    try:
        return outcome.read(directory), None
    except RunDirectoryError as error:
        return Outcome(Status.DEAD), str(error)


def status_of(written: str, *, found: Status = Status.DEAD, is_locked: bool | None) -> str:
    """Return the status of a run.

    Args:
        written: what its metrics say: ``running`` until it ends by itself, so a killed run says that for ever.
        found: what its lock and the file that it left say. Those of Python leave none.
        is_locked: whether a process works in its directory.

    Example:
        >>> status_of("running", is_locked=False), status_of("stopped", is_locked=False)
        ('dead', 'finished')
    """
    if is_locked:
        return "running"
    if found in _CERTAIN:
        return _CERTAIN[found]
    if written in _ENDED:
        return _ENDED[written]
    return "unknown" if is_locked is None else "dead"
