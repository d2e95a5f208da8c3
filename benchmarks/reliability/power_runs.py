"""Cut the power in training runs: the newest checkpoint that was said to be saved is there, and its metric rows."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from benchmarks.reliability import disk, forked, shim
from benchmarks.reliability.power import states
from benchmarks.reliability.subject import scratch, traced
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import Training, difference, everything, finish, homes
from velora.callbacks import Callback
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError

TRAININGS = {
    "metric rows": Training(n_steps=54, saving={"frequency": 1, "keep_last": 2}),
    "metric rows of two seeds": Training(n_steps=36, seeds=(5, 0), saving={"frequency": 2}),
}
RESUMED_EVERY = 25
"""So many states are looked at for one that is resumed to the end."""


class Tell(Callback):
    """Mark in the trace which checkpoint a run has been told is saved."""

    def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
        """Read how far it is."""
        metadata = Checkpoint.open(path).metadata
        seed = f"seed{metadata.seed}" if agent.n_seeds > 1 else ""
        shim.mark(json.dumps([seed, metadata.progress.episode]))


def run(job: Job, name: str, *, most: int = 6_000) -> None:
    """Cut the power in one run."""
    training = TRAININGS[name]
    with scratch() as place:
        (place / "run").mkdir()
        recorded = disk.Disk.of({"run": None}, traced(lambda: training.go(place / "run", Tell()), place))
        whole = everything(place / "run")
    cases = states(job, recorded, most=80 if job.quick else most, mixed=20)
    for number, (at, state, tree, marks) in enumerate(job.each(list(job.mine(cases)))):
        with scratch() as place:
            disk.build(tree, place)
            case = f"velora, {name}, power cut before call {at}, {state}"
            if complaint := _complaint(place / "run", [json.loads(mark) for mark in marks]):
                job.tally.bad(complaint.partition(":")[0], f"{case}: {complaint}")
            elif number % RESUMED_EVERY == 0:
                ending = forked.run(lambda: (finish(training, place / "run"), everything(place / "run"))[1])
                if not ending.is_fine:
                    job.tally.bad("the run can't go on", f"{case}: {ending}")
                elif text := difference(whole, ending.answer):
                    job.tally.bad("goes on, and differs", f"{case}: {text}")
                else:
                    job.tally.good("whole, and resumed to the same bits")
            else:
                job.tally.good("whole, rows not behind")


def _complaint(place: Path, saved: list[tuple[str, int]]) -> str | None:
    for seed, home in homes(place).items() if place.exists() else ():
        told = max((episode for name, episode in saved if name == seed), default=None)
        try:
            newest = Checkpoint.latest(home)
        except CheckpointError as error:
            return f"looking for the newest raises: {error}"
        if newest is None:
            if told is not None:
                return f"no checkpoint is left: episode {told} was said to be saved"
            continue
        if told is not None and newest.metadata.progress.episode < told:
            return f"an older checkpoint: episode {newest.metadata.progress.episode}, told {told}"
        if text := _rows_behind(place, newest):
            return text
    if told_all := {name for name, _ in saved} - set(homes(place)):
        return f"no checkpoint is left: of {sorted(told_all)}"
    return None


def _rows_behind(place: Path, newest: Checkpoint) -> str | None:
    """Compare the rows with the checkpoint that a resume would take."""
    at = newest.metadata.progress.episode
    assert newest.metadata.train_state is not None
    try:
        connection = sqlite3.connect(place / "metrics.db")
        try:
            (state,) = connection.execute("PRAGMA integrity_check").fetchone()
            wanted = (newest.metadata.train_state["run_id"], newest.metadata.seed, at)
            (count,) = connection.execute(
                "SELECT count(*) FROM episode WHERE run_id = ? AND seed = ? AND episode <= ?", wanted
            ).fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return f"metrics.db can't be read: {error}" if at else None
    if state != "ok":
        return f"metrics.db is damaged: {state}"
    return f"rows behind the checkpoint: {count} of {at}" if count < at else None
