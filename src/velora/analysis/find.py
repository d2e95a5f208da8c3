"""Find the runs below some directories, and read what each one is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from velora.analysis.collection import Runs
from velora.analysis.outcome import FAILURE, RESULT, SWEEP, Status, is_locked
from velora.analysis.run import Run
from velora.analysis.status import read_outcome, status_of
from velora.checkpoint.layout import CHECKPOINTS, LOCK_NAME
from velora.core import small_json
from velora.core.errors import RunDirectoryError
from velora.core.locks import is_held
from velora.metrics import DATABASE_NAME, ExperimentRow, queries
from velora.metrics.standing import Standing, standings

DEFAULT_DIRECTORIES: Final = ("outputs", "multirun")
"""Where ``velora train`` makes the directories of runs and of sweeps, seen from where it is called."""


def find_runs(*paths: str | Path) -> Runs:
    """Read the runs in and below some directories, in the order of their names.

    Nothing is written, and no run that is going on is disturbed.

    Args:
        paths: run directories, or directories of runs, such as a sweep. None is ``outputs/`` and ``multirun/``.

    Raises:
        RunDirectoryError: if a path doesn't exist, or there is no run at all.

    Example:
        >>> find_runs("multirun").where("env=hopper status=finished").sort("-return").rows()  # doctest: +SKIP
    """
    return Runs(run for directory in find_directories(paths) for run in read_runs(directory))


def find_directories(paths: Sequence[str | Path] = ()) -> list[Path]:
    """List the run directories in and below some paths, each once, however it is named; see :func:`find_runs`.

    Raises:
        RunDirectoryError: as :func:`find_runs`.
    """
    wanted = [Path(path) for path in paths] or [path for name in DEFAULT_DIRECTORIES if (path := Path(name)).is_dir()]
    for path in wanted:
        if not path.exists():
            raise RunDirectoryError(f"{path}: no such directory; expected one of a run, or of runs")
    tops = [path.parent if path.name == DATABASE_NAME else path for path in wanted]
    found: dict[str, Path] = {}
    for directory in (directory for top in tops for directory in _below(top)):
        found.setdefault(os.path.realpath(directory), directory)
    if not found:
        where = " or ".join(map(str, wanted or DEFAULT_DIRECTORIES))
        raise RunDirectoryError(
            f"{where}: expected runs in or below it, found none; train one by velora train, or name another directory"
        )
    return list(found.values())


def read_runs(directory: Path) -> list[Run]:
    """Read the runs in one directory, oldest first: one, but for those that were trained into it by Python again.

    A run whose metrics can't be read is ``unknown``, and its ``reason`` says why. A directory that a sweep has made, or
    will make, for a job whose turn has not come holds one that is ``waiting``.
    """
    held = is_locked(directory)
    found, fault = read_outcome(directory)
    try:
        rows = queries.experiments(directory) if (directory / DATABASE_NAME).exists() else []
        runs = [_read(directory, row, Status.DEAD, held=False) for row in rows[:-1]]
        runs += [_read(directory, row, found.status, held=held) for row in rows[-1:]]
    except RunDirectoryError as error:
        runs, fault = [], fault or str(error)
    if not runs:
        status = (
            "waiting" if found.status is Status.WAITING else status_of("running", found=found.status, is_locked=held)
        )
        runs = [_unbegun(directory, "unknown" if fault and status == "dead" else status)]
    reason = found.failure.line if found.failure is not None else fault
    return runs if reason is None else [*runs[:-1], replace(runs[-1], reason=reason)]


def _read(directory: Path, row: ExperimentRow, found: Status, *, held: bool | None) -> Run:
    known = standings(directory, run_id=row.run_id)
    return Run(
        directory,
        status_of(row.status, found=found, is_locked=held),
        row.stop_reason,
        row.run_id,
        row.agent,
        row.environment,
        row.seeds,
        {**{f"agent.{name}": value for name, value in row.settings.items()}, **row.run_settings},
        (row.n_episodes, row.n_steps),
        tuple(known.get(seed, Standing(seed)) for seed in row.seeds),
        row.started_at,
        row.finished_at,
    )


def _unbegun(directory: Path, status: str) -> Run:
    """Describe a run that has written nothing yet: if it is a job of a sweep, by the words in which the jobs differ."""
    words = dict(word.split("=", 1) for word in _planned(directory.parent).get(directory, ()) if "=" in word)
    return Run(
        directory,
        status,
        agent=words.get("agent", ""),
        environment=words.get("env", words.get("env.id", "")).rpartition(":")[2],
        settings={name: _value(text) for name, text in words.items() if name.startswith("agent.")},
    )


def _value(text: str) -> Any:
    """Read the value of a setting: numbers, lists and null as such, all else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _planned(sweep: Path) -> Mapping[Path, tuple[str, ...]]:
    """Read the jobs of a sweep once, however many of them are asked for."""
    try:
        found = os.stat(sweep / SWEEP)
    except (OSError, ValueError):
        return {}
    return _planned_then(sweep, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _planned_then(sweep: Path, mtime_ns: int, size: int) -> Mapping[Path, tuple[str, ...]]:
    return planned_jobs(sweep)


def planned_jobs(sweep: Path) -> dict[Path, tuple[str, ...]]:
    """Read which jobs a sweep has: the directory of each, also before it is made, and the words in which it differs.

    There are none where no sweep is, or its description is damaged. A job whose name leads out of the sweep, or can't
    be that of a directory, is left out: the file may be a stranger's.
    """
    try:
        kept = small_json.read(sweep / SWEEP)
        jobs = {str(job["name"]): tuple(map(str, job["words"])) for job in kept["jobs"]}
    except (RunDirectoryError, TypeError, KeyError):
        return {}
    return {sweep / name: words for name, words in sorted(jobs.items()) if _lies_within(sweep, name)}


def _lies_within(sweep: Path, name: str) -> bool:
    try:
        os.lstat(sweep / name)
    except FileNotFoundError:  # its turn has not come
        pass
    except (OSError, ValueError):  # too long, or of letters that no name may have
        return False
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _below(top: Path) -> Iterator[Path]:
    """Walk down, by name, past the checkpoints of runs; the jobs of a sweep count before they have begun."""
    planned: set[Path] = set()
    for path, directories, files in os.walk(top):
        here = Path(path)
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        if SWEEP in files:
            jobs = planned_jobs(here)
            planned.update(jobs)
            yield from (job for job in jobs if not job.is_dir())
        if here in planned or _is_run(here, files):
            directories[:] = [name for name in directories if name != CHECKPOINTS]
            yield here


def _is_run(directory: Path, files: Sequence[str]) -> bool:
    if not {DATABASE_NAME, RESULT, FAILURE}.isdisjoint(files):
        return True
    return LOCK_NAME in files and is_held(directory / LOCK_NAME) is True
