"""A job of a sweep, under every launcher: look at its directory first, then begin, go on, or leave it alone.

A launcher may run it anywhere, twice, or again after a preemption with the same words: all it needs to know stands in
the directory.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import signal
import traceback
from pathlib import Path
from typing import Final

from omegaconf import DictConfig

from velora.analysis import outcome
from velora.analysis.outcome import Status
from velora.checkpoint import Checkpoint
from velora.checkpoint.layout import CHECKPOINTS, seed_directories
from velora.cli.command.mistakes import is_mistake, one_line
from velora.cli.run import claim, ending
from velora.cli.run.run_directory import CONFIG, METRICS
from velora.cli.settings import budget
from velora.cli.sweep import fit
from velora.core.errors import CheckpointError
from velora.core.terminal import complain, say

log = logging.getLogger(__name__)
_failure_log = logging.getLogger("velora.cli.failure")

NO_OBJECTIVE: Final = math.nan
RETRY_FAILED: Final = "failed"
_SUBMITIT: Final = "SUBMITIT_EXECUTOR"


def run_job(cfg: DictConfig, run_dir: Path) -> float:
    """Bring a job to its end, and note in its directory how it ended.

    What fails is told in one line, and the traceback of a crash goes into the job's own ``train.log``. No launcher
    hears of it, so that none ends the sweep, or prints it again.

    Args:
        cfg: settings of the shape of ``conf/train.yaml``.
        run_dir: the job's directory.

    Returns:
        The objective, or NaN if there is none: it failed, or another process is at it.
    """
    _bear_preemption()
    try:
        return _bring_to_its_end(cfg, run_dir)
    except claim.BusyError:
        say(f"{run_dir.name}: another process trains it; left alone\n")
    except Exception as error:  # noqa: BLE001 - the edge of a job: noted, never swallowed
        if not (run_dir / outcome.RESULT).exists():
            ending.keep_failure(run_dir, error)
        complain(f"velora train: {run_dir.name}: {one_line(error)}\n")
        if not is_mistake(error):
            _keep_traceback(error)
    return NO_OBJECTIVE


def _bear_preemption() -> None:
    """Let a run go on after SIGTERM in a job of submitit's, which has a handler for it that does nothing.

    SLURM sends it to a job that it preempts, and puts that into the queue again only if it hasn't ended by itself.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if _SUBMITIT in os.environ and callable(handler):
        from velora.training.signals import GoingOn

        with contextlib.suppress(ValueError):  # signals are the main thread's
            signal.signal(signal.SIGTERM, GoingOn(handler))


def _bring_to_its_end(cfg: DictConfig, run_dir: Path) -> float:
    """Look, and do what is left to do; what a process left that died before its first checkpoint is removed."""
    left = _left(run_dir)
    found = outcome.read(run_dir)
    if found.status is Status.RUNNING:
        raise claim.BusyError(f"{run_dir}: another process trains it")
    saved = fit.fitted(cfg, run_dir)
    if found.result is not None and dict(found.result.budget) == budget.asked(cfg):
        say(f"{run_dir.name}: done already, {found.result.objective:.6g}\n")
        return found.result.objective
    if found.failure is not None and cfg.retry != RETRY_FAILED:
        complain(f"velora train: {run_dir.name}: failed before ({found.failure.line}); retry=failed runs it again\n")
        return NO_OBJECTIVE
    from velora.cli.run import training  # torch, which a job that is done needs not

    with claim.claimed(run_dir):
        if _left(run_dir) == left:
            if saved is not None and can_go_on(run_dir):
                cfg.resume = str(run_dir)
            else:
                clear(run_dir)
            return training.train_claimed(cfg, run_dir)
    return _bring_to_its_end(cfg, run_dir)  # another process was at it after the look, and has ended meanwhile


def _left(run_dir: Path) -> tuple[bytes | None, ...]:
    """Read what tells how the run in a directory began and ended."""
    paths = [run_dir / name for name in (CONFIG, outcome.RESULT, outcome.FAILURE)]
    return tuple(path.read_bytes() if path.exists() else None for path in paths)


def can_go_on(run_dir: Path) -> bool:
    """Return whether any seed has a whole checkpoint that a run can go on from; the others begin anew."""
    home = run_dir / CHECKPOINTS
    for parent in seed_directories(home).values() or [home]:
        with contextlib.suppress(CheckpointError):
            newest = Checkpoint.latest(parent) if parent.is_dir() else None
            if newest is not None and newest.metadata.train_state is not None and newest.metadata.buffer is not None:
                return True
    return False


def clear(run_dir: Path) -> None:
    """Make way for a run from the beginning; checkpoints that can't be gone on from are set aside, if there are any."""
    home = run_dir / CHECKPOINTS
    parents = list(seed_directories(home).values()) or [home]
    if any(path.is_dir() and not path.name.startswith(".") for parent in parents for path in _children(parent)):
        kept = next(
            path for number in range(1, 1 << 30) if not (path := home.with_name(f"{CHECKPOINTS}-kept{number}")).exists()
        )
        log.warning("%s: nothing in it can be gone on from; it is kept as %s, and the job begins anew", home, kept.name)
        home.rename(kept)
    shutil.rmtree(home, ignore_errors=True)
    outcome.forget(run_dir)
    for name in (CONFIG, METRICS, f"{METRICS}-wal", f"{METRICS}-shm"):
        (run_dir / name).unlink(missing_ok=True)


def _children(parent: Path) -> list[Path]:
    return list(parent.iterdir()) if parent.is_dir() else []


def _keep_traceback(error: Exception) -> None:
    """Write a traceback to the job's log; to standard error, if its settings have no log."""
    if _failure_log.handlers:
        _failure_log.error(one_line(error), exc_info=error)
    else:
        traceback.print_exception(error)
