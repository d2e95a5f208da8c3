"""Tell what became of a run, from its directory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from velora.analysis import outcome
from velora.analysis.outcome import Outcome, Status
from velora.core.errors import RunDirectoryError

UNKNOWN: Final = "unknown"
STATUSES: Final[dict[str, str]] = {
    Status.WAITING.value: "its turn in a sweep has not come",
    Status.RUNNING.value: "a process trains it",
    Status.FINISHED.value: "its budget is used up, or a callback stopped it",
    Status.INTERRUPTED.value: "a signal ended it; it can be resumed",
    Status.FAILED.value: "an error ended it",
    Status.DEAD.value: "its process was killed; it can be resumed from its newest checkpoint",
    UNKNOWN: "it says that it runs, and there is no lock that could tell whether it does",
}
"""Every status of a run, and what it means: one that its directory tells, or ``unknown``."""

_ENDED: Final = {
    "finished": Status.FINISHED,
    "stopped": Status.FINISHED,
    "interrupted": Status.INTERRUPTED,
    "crashed": Status.FAILED,
}
"""What the words mean that metrics have for the end of a run."""
_CERTAIN: Final = frozenset({Status.RUNNING, Status.FINISHED, Status.FAILED})


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
        return Status.RUNNING.value
    if found in _CERTAIN:
        return found.value
    if written in _ENDED:
        return _ENDED[written].value
    return UNKNOWN if is_locked is None else Status.DEAD.value
