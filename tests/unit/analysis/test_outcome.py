"""How a run stands, by what lies in its directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from velora.analysis import outcome
from velora.analysis.outcome import Failure, Outcome, Result, SeedResult, Status
from velora.core.errors import RunDirectoryError
from velora.metrics.store import RunStore

RESULT = Result(
    "finished",
    -151.25,
    {"n_episodes": 40, "n_steps": None},
    (SeedResult(0, -150.0, 40, 8000, None), SeedResult(1, None, None, None, "met NaN")),
)


def test_a_directory_that_is_not_there_is_a_run_that_waits(tmp_path: Path) -> None:
    assert outcome.read(tmp_path / "nowhere") == Outcome(Status.WAITING)
    (tmp_path / "job.log").touch()
    assert outcome.read(tmp_path) == Outcome(Status.WAITING)


def test_a_result_is_read_as_it_was_written_to_the_last_bit(tmp_path: Path) -> None:
    result = Result("stopped", 0.1 + 0.2, {"n_episodes": 1, "n_steps": 2}, RESULT.seeds)
    outcome.write_result(tmp_path, result)
    assert outcome.read(tmp_path) == Outcome(Status.FINISHED, result=result)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_failure_is_read_as_it_was_written_until_a_result_replaces_it(tmp_path: Path) -> None:
    failure = Failure("ValueError", "no", is_mistake=False)
    outcome.write_failure(tmp_path, failure)
    assert outcome.read(tmp_path) == Outcome(Status.FAILED, failure=failure)
    outcome.write_result(tmp_path, RESULT)
    assert outcome.read(tmp_path) == Outcome(Status.FINISHED, result=RESULT)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    outcome.forget(tmp_path)
    assert outcome.read(tmp_path).status is Status.WAITING


@pytest.mark.parametrize("place", [".", "checkpoints"])
def test_a_lock_of_another_process_says_that_it_runs(tmp_path: Path, place: str) -> None:
    outcome.write_result(tmp_path, RESULT)
    (tmp_path / place).mkdir(exist_ok=True)
    code = (
        "import sys, filelock as f; lock = f.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); input()"
    )
    words = [sys.executable, "-c", code, str(tmp_path / place / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert outcome.read(tmp_path) == Outcome(Status.RUNNING)
        holder.kill()
    assert outcome.read(tmp_path).status is Status.FINISHED


def test_to_look_leaves_nothing_and_two_may_look_at_once(tmp_path: Path) -> None:
    assert not outcome.is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    lock = FileLock(tmp_path / ".lock")
    with lock:
        assert outcome.is_locked(tmp_path)
        assert outcome.is_locked(tmp_path)
    assert not outcome.is_locked(tmp_path)


@pytest.mark.parametrize(
    ("ended", "expected"), [(None, Status.DEAD), ("interrupted", Status.INTERRUPTED), ("crashed", Status.DEAD)]
)
def test_a_run_without_a_result_is_interrupted_or_dead(tmp_path: Path, ended: str | None, expected: Status) -> None:
    (tmp_path / "config.yaml").touch()
    with RunStore(tmp_path / "metrics.db") as store:
        store.start_run(run_id="a", agent="liquid_ddpg", environment="Pendulum-v1", seeds=[0], settings={})
        if ended is not None:
            store.finish_run(ended)
    assert outcome.read(tmp_path) == Outcome(expected)


def test_a_run_that_died_before_its_first_row_is_dead(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    assert outcome.read(tmp_path) == Outcome(Status.DEAD)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("result.json", "{", "can't be read"),
        ("result.json", "[1]", "holds something else"),
        ("result.json", json.dumps({"status": "finished"}), "holds something else"),
        ("failure.json", json.dumps({"error": "E", "line": "l"}), "holds something else"),
        ("result.json", json.dumps({"status": "f", "objective": "1", "budget": {}, "seeds": []}), "something else"),
    ],
)
def test_files_that_nobody_could_have_written_are_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunDirectoryError, match=rf"{name}.* {told}|{name} {told}"):
        outcome.read(tmp_path)


def test_what_a_kill_left_of_writing_goes_when_the_run_goes_on(tmp_path: Path) -> None:
    killed = (
        "import os, pathlib, sys\n"
        "from velora.analysis import outcome\n"
        "pathlib.Path.replace = lambda *paths: os._exit(9)\n"
        "outcome.write_failure(pathlib.Path(sys.argv[1]), outcome.Failure('Error', 'line', True))\n"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".failure.json.")
    (tmp_path / ".failure.json.mine").touch()
    outcome.forget(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".failure.json.mine"]
