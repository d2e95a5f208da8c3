"""How a run stands, read from its directory alone: waiting, running, finished, failed, interrupted or dead.

A run that ends leaves one small file, written last and in one step: ``result.json`` if it came to its end,
``failure.json`` if an error ended it. While it lives it holds a lock, which the system drops with its process. So any
process may tell how any run stands, and nothing else has to be remembered.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from velora.checkpoint.layout import CHECKPOINTS, LOCK_NAME
from velora.core import disk, small_json
from velora.core.errors import RunDirectoryError
from velora.core.locks import is_held

RESULT, FAILURE = "result.json", "failure.json"
SWEEP: Final = "sweep.json"
"""The file in a sweep's directory that lists its jobs."""
_CONFIG, _METRICS = "config.yaml", "metrics.db"
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "bool": (bool,),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float,),
    "float | None": (float, type(None)),
    "Mapping[str, int | None]": (dict,),
    "tuple[SeedResult, ...]": (tuple,),
}
"""What JSON makes of the types in this module's records, whose annotations are texts."""


class Status(StrEnum):
    """The state of a run, of a job of a sweep too."""

    WAITING = "waiting"
    """It has not begun."""
    RUNNING = "running"
    """A live process holds its lock."""
    FINISHED = "finished"
    """It has used up its budget, or a callback has stopped it; see its :class:`Result`."""
    FAILED = "failed"
    """An error has ended it; see its :class:`Failure`."""
    INTERRUPTED = "interrupted"
    """A signal has ended it, and it has saved everything."""
    DEAD = "dead"
    """Its process is gone without a word, as after a power cut; it goes on from its newest checkpoint."""


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The final evaluation of one seed, and where it stood.

    Attributes:
        mean: the mean return over the episodes of the evaluation; ``None`` of a seed that NaN or infinity ended.
        stop_reason: why it ended before its budget was used up, or ``None``.
    """

    seed: int
    mean: float | None
    episode: int | None
    step: int | None
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """Content of ``result.json``.

    Attributes:
        status: ``"finished"`` or ``"stopped"``, as :class:`velora.training.TrainResult` has it.
        objective: the mean return of the final evaluations, over seeds; what a sweep maximises.
        budget: ``n_episodes`` and ``n_steps`` that the run was given.
        seeds: in the order of the seed axis.
    """

    status: str
    objective: float
    budget: Mapping[str, int | None]
    seeds: tuple[SeedResult, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Content of ``failure.json``.

    Attributes:
        error: the kind of error, such as ``"SettingError"``.
        line: what it said, in one line.
        is_mistake: whether it is the user's to mend; if not, ``train.log`` has the traceback.
    """

    error: str
    line: str
    is_mistake: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the directory of a run says about it; the result or the failure is there if the status says so."""

    status: Status
    result: Result | None = None
    failure: Failure | None = None


def read(run_dir: str | Path) -> Outcome:
    """Tell how a run stands.

    Raises:
        RunDirectoryError: if its ``result.json`` or ``failure.json`` can't be read, or holds something else.
    """
    run_dir = Path(run_dir)
    if is_locked(run_dir):
        return Outcome(Status.RUNNING)
    if (kept := small_json.read(run_dir / RESULT)) is not None:
        return Outcome(Status.FINISHED, result=_result(run_dir / RESULT, kept))
    if (kept := small_json.read(run_dir / FAILURE)) is not None:
        return Outcome(Status.FAILED, failure=_made(Failure, run_dir / FAILURE, kept))
    if not (run_dir / _CONFIG).exists() and not (run_dir / _METRICS).exists():
        return Outcome(Status.WAITING)
    return Outcome(_unfinished(run_dir))


def is_locked(run_dir: Path) -> bool | None:
    """Return whether a live process works in a run's directory; ``None`` if no lock can tell.

    To look takes a share of the lock for a moment, for which whoever claims it waits.
    """
    held = is_held(run_dir / LOCK_NAME)
    if held:
        return True
    of_checkpoints = is_held(run_dir / CHECKPOINTS / LOCK_NAME)
    return held if of_checkpoints is None else of_checkpoints


def write_result(run_dir: Path, result: Result) -> None:
    """Write ``result.json`` in one step; a failure that was there is history.

    Raises:
        OSError: as the system reports it; the old files stay then.
    """
    small_json.write(run_dir / RESULT, asdict(result))
    (run_dir / FAILURE).unlink(missing_ok=True)


def write_failure(run_dir: Path, failure: Failure) -> None:
    """Write ``failure.json`` in one step.

    Raises:
        OSError: as the system reports it.
    """
    small_json.write(run_dir / FAILURE, asdict(failure))


def forget(run_dir: Path) -> None:
    """Remove both files, and what kills have left of writing them, since the run begins or goes on."""
    for path in (run_dir / RESULT, run_dir / FAILURE):
        for one in (path, *disk.left_over(path)):
            one.unlink(missing_ok=True)


def _unfinished(run_dir: Path) -> Status:
    from velora.metrics import queries  # NumPy, which isn't needed for the others

    try:
        rows = queries.experiments(run_dir)
    except RunDirectoryError:
        return Status.DEAD
    return Status.INTERRUPTED if rows and rows[-1].status == "interrupted" else Status.DEAD


def _result(path: Path, kept: Any) -> Result:
    seeds = kept.get("seeds") if isinstance(kept, dict) else None
    if not isinstance(seeds, list):
        raise _unknown(path)
    result: Result = _made(Result, path, kept | {"seeds": tuple(_made(SeedResult, path, seed) for seed in seeds)})
    if not all(isinstance(most, int | None) for most in result.budget.values()):
        raise _unknown(path)
    return result


def _made(kind: Any, path: Path, kept: Any) -> Any:
    """Make one of the records of this module, each value of which has its type: a file may hold anything."""
    if not isinstance(kept, dict) or set(kept) != set(kind.__slots__):
        raise _unknown(path)
    if not all(_is_of(_TYPES[hint], kept[name]) for name, hint in kind.__annotations__.items()):
        raise _unknown(path)
    return kind(**kept)


def _is_of(types: tuple[type, ...], value: Any) -> bool:
    """Return whether a value of a file has a type; a whole number may stand for any that is not too large for that."""
    if float in types and isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _unknown(path: Path) -> RunDirectoryError:
    return RunDirectoryError(f"{path} holds something else than a run writes there; delete it, and the run can go on")
