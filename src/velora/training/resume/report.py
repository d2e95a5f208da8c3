"""Say what can't be as it was: circumstances that are others at a resume, and rows that were never written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from velora.core.version import __version__
from velora.metrics.store import RunStore
from velora.training.lane import Lane
from velora.training.resume.circumstances import Circumstances, differences
from velora.training.resume.run_state import RunState, Saved

log = logging.getLogger(__name__)


def report_changes(saved: Saved, now: Circumstances, store: RunStore, lanes: Sequence[Lane]) -> None:
    """Log a line for each end within a step, each circumstance that is another now, and for rows that are missing."""
    ends = (about_end(state, lanes[k].seed, lanes[k].step) for k, state in saved.each())
    lines = [line for line in ends if line is not None]
    for _, state in saved.each():
        lines += differences(state.circumstances, {"velora": __version__, **now})
    for line in dict.fromkeys(lines):
        log.warning("resume: %s", line)
    if store.path is not None:
        _report_missing_rows(store, lanes)


def about_end(state: RunState, seed: int, step: int) -> str | None:
    """Return in a line why a run that ended so may not go on to the same bits; ``None`` if it does."""
    if state.torn:
        return (
            f"seed {seed}: the run failed after {step} steps while an action was chosen or an update was made, part of "
            "which its checkpoint holds; it doesn't go on to the same bits, which an older checkpoint does"
        )
    if state.failed_in is not None:
        return (
            f"seed {seed}: an error in {state.failed_in} ended the run after {step} steps; what was to follow in that "
            "step, of other callbacks and of rows, is left out, so it may not go on to the same bits, which an "
            "older checkpoint does"
        )
    return None


def _report_missing_rows(store: RunStore, lanes: Sequence[Lane]) -> None:
    found = {lane.seed: store.missing(seed=lane.seed, episodes=lane.episode) for lane in lanes}
    missing = {seed: number for seed, number in found.items() if number}
    if missing:
        log.warning(
            "resume: %d of the %d episodes before have no row in %s (seed %s): it was never written, or went with "
            "another branch",
            sum(missing.values()),
            sum(lane.episode for lane in lanes),
            store.path,
            ", ".join(map(str, missing)),
        )


def syncing_rows(store: RunStore, path: Path) -> Callable[[], None]:
    """Write all rows, and return what waits until the disk has them, before a checkpoint counts them.

    It may wait in any thread, and logs a line if the disk does not take them.
    """
    is_written = store.flush()

    def wait() -> None:
        if is_written and store.wait_for_disk():
            return
        log.warning(
            "save into %s: the rows of the metrics up to here aren't on the disk; those that still wait are lost if "
            "this process dies now",
            path,
        )

    return wait
