"""Velora, broken on purpose in one place, and other ways to save: what the rows of the harness have to notice."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmarks.reliability import (
    exact,
    failing_runs,
    forged,
    fuzzed,
    interrupted,
    killed_runs,
    nonfinite,
    ours,
    power_runs,
    troubles,
    unreplayable,
)
from benchmarks.reliability.subject import Subject
from benchmarks.reliability.tally import Job
from velora.callbacks import checkpoint_home
from velora.checkpoint import header, schema, staging
from velora.metrics.writer import BatchWriter
from velora.training.lane import Lane


class InPlace(Subject):
    """A file written over the old one."""

    name = "in place"
    file = "state.json"

    def save(self, place: Path, version: int) -> None:
        """Write it in two pieces."""
        with (place / self.file).open("w") as file:
            for part in (
                json.dumps({"version": version})[:8],
                json.dumps({"version": version, "more": "x" * 9000})[8:],
            ):
                file.write(part)
                file.flush()

    def load(self, place: Path) -> str:
        """Read it."""
        return str(json.loads((place / self.file).read_text())["version"])


class RenamedUnsynced(InPlace):
    """A file that is written beside the old one and takes its name, as safetensors does: no kill breaks it."""

    name = "renamed"

    def save(self, place: Path, version: int) -> None:
        """Write and rename, and trust the system with the rest."""
        temporary = place / "temporary"
        temporary.write_text(json.dumps({"version": version, "more": "x" * 9000}))
        temporary.rename(place / self.file)


def subjects() -> list[Subject]:
    """List them."""
    return [InPlace(), RenamedUnsynced()]


def replace_by_removal(job: Job) -> None:
    """A save that removes the old checkpoint before the new one has its name."""

    def replace(stage: Any) -> bool:
        shutil.rmtree(stage.target)
        return False

    staging.Stage._replace = replace  # type: ignore[method-assign, assignment]
    from benchmarks.reliability import kills

    kills.run(job, ours.AgentSave("replacing, badly"))


def runs_without_sync(job: Job) -> None:
    """Saves that never wait for the disk."""
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    power_runs.run(job, "metric rows")


def killed_run_that_forgets(job: Job) -> None:
    """A resume that loses the moving window."""
    _forget_window()
    killed_runs.run(job, "rotating")


def interrupted_run_that_forgets(job: Job) -> None:
    """The same, in runs that are interrupted."""
    _forget_window()
    interrupted.run(job, "ddpg on Pendulum")


def exact_that_forgets(job: Job) -> None:
    """The same, at any step."""
    _forget_window()
    exact.run(job)


def _forget_window() -> None:
    load = Lane.load_state_dict

    def forget(lane: Lane, state: Any) -> None:
        load(lane, state)
        lane.moving._values.clear()

    Lane.load_state_dict = forget  # type: ignore[method-assign, assignment]


def unreplayable_without_a_word(job: Job) -> None:
    """Resumes that nobody hears."""
    exact.Listener.emit = lambda self, record: None  # type: ignore[method-assign]
    unreplayable.run(job)


def failing_metrics(job: Job) -> None:
    """Metrics whose failures end the run."""

    def flush(writer: Any) -> bool:
        writer._write()
        return True

    BatchWriter.flush = flush  # type: ignore[method-assign, assignment]
    failing_runs.run(job, "a run")


def harmless_poison(job: Job) -> None:
    """Numbers that are finite where NaN should be, as a loop would see them that is blind to it."""
    nonfinite.ENVIRONMENT.update({name: (where, 1.0) for name, (where, _) in nonfinite.ENVIRONMENT.items()})
    nonfinite.AGENT.update(dict.fromkeys(nonfinite.AGENT, lambda agent: None))
    nonfinite.run(job)


def raw_errors(job: Job) -> None:
    """A schema whose complaints are raw errors."""

    def explain(error: Any) -> str:
        raise KeyError(str(error))

    schema.explain = explain
    forged.run(job, "ddpg", by="load")


def trusting_headers(job: Job) -> None:
    """A reader that takes any numbers in a header."""
    header._whole_numbers = lambda value, where: tuple(value)  # type: ignore[arg-type]
    fuzzed.run(job, "header", inputs=1)


def unguarded_directory(job: Job) -> None:
    """Two runs that both take the directory."""
    FileLock.acquire = lambda self, *a, **k: None  # type: ignore[method-assign, assignment]
    checkpoint_home.inspect = lambda *given, **more: None  # type: ignore[attr-defined]
    troubles.run(job, "two runs")


ROWS = {
    "kills": replace_by_removal,
    "killed runs": killed_run_that_forgets,
    "interrupted": interrupted_run_that_forgets,
    "exact": exact_that_forgets,
    "unreplayable": unreplayable_without_a_word,
    "power": runs_without_sync,
    "failures": failing_metrics,
    "forged": raw_errors,
    "fuzzed": trusting_headers,
    "nonfinite": harmless_poison,
    "troubles": unguarded_directory,
}
"""What is broken, by the row that has to notice."""
