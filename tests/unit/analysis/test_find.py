from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from velora.analysis import find_runs, outcome
from velora.analysis.find import read_runs
from velora.analysis.outcome import Failure, Result, SeedResult
from velora.analysis.run import Run
from velora.core.errors import RunDirectoryError

from .run_directories import make_run


def only(path: Path) -> Run:
    (run,) = find_runs(path)
    return run


def test_a_run_is_what_its_directory_says(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -900.0, -500.0, evaluations={1: -300.0, 2: -400.0}, seeds=(7, 8))
    run = only(tmp_path)
    assert (run.agent, run.environment, run.seeds, run.status) == ("liquid_ddpg", "Pendulum-v1", (7, 8), "finished")
    assert (run.n_episodes, run.n_steps, run.budget, run.progress) == (2, 400, (4, None), 1.0)
    assert run.returns() == (-400.0, -400.0)
    assert run.returns(best=True) == (-300.0, -300.0)
    assert run.is_evaluated
    assert run.settings == {"agent.n_neurons": 20, "train.batch_size": 64, "callbacks": "none"}


def test_without_an_evaluation_the_last_episodes_tell(tmp_path: Path) -> None:
    make_run(tmp_path, -900.0, -500.0, -700.0)
    run = only(tmp_path)
    assert (run.returns(), run.returns(best=True), run.is_evaluated) == ((-700.0,), (-500.0,), False)


def test_a_run_without_an_episode_has_come_nowhere(tmp_path: Path) -> None:
    make_run(tmp_path, status="interrupted")
    run = only(tmp_path)
    assert (run.status, run.n_steps, run.progress, run.seconds) == ("interrupted", 0, 0.0, 0.0)
    assert math.isnan(run.returns()[0])


def test_the_budget_that_is_nearer_counts(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, n_episodes=4, n_steps=250, status="running")
    assert only(tmp_path).progress == 0.8


def test_a_run_whose_last_episode_was_cut_by_the_budget_is_through(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, n_steps=250)
    assert (only(tmp_path).n_steps, only(tmp_path).progress) == (200, 1.0)
    assert replace(only(tmp_path), reason="good enough").progress == 0.8


@pytest.mark.parametrize(
    ("written", "status"),
    [("finished", "finished"), ("stopped", "finished"), ("interrupted", "interrupted"), ("crashed", "failed")],
)
def test_a_run_that_ended_says_how(tmp_path: Path, written: str, status: str) -> None:
    make_run(tmp_path, -1.0, status=written)
    run = only(tmp_path)
    assert run.status == status
    assert run.reason == ("target reached" if written == "stopped" else None)


@pytest.mark.parametrize("lock", [".lock", "checkpoints/.lock"])
def test_the_lock_tells_running_from_dead(tmp_path: Path, lock: str) -> None:
    make_run(tmp_path, -1.0, status="running")
    assert only(tmp_path).status == "unknown"
    (tmp_path / lock).parent.mkdir(exist_ok=True)
    with FileLock(tmp_path / lock):
        assert only(tmp_path).status == "running"
    assert only(tmp_path).status == "dead"


def test_a_run_that_is_resumed_runs_whatever_its_metrics_still_say(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, status="interrupted")
    with FileLock(tmp_path / ".lock"):
        assert only(tmp_path).status == "running"


def test_a_run_that_has_just_begun_has_no_metrics_yet(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with FileLock(tmp_path / "new" / ".lock"):
        run = only(tmp_path)
    assert (run.status, run.agent, run.standings) == ("running", "", ())


def test_of_two_runs_in_one_directory_the_newer_has_the_lock(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, status="running", run_id="first")
    make_run(tmp_path, -2.0, status="running", run_id="second")
    with FileLock(tmp_path / ".lock"):
        assert [(run.run_id, run.status, run.returns()) for run in find_runs(tmp_path)] == [
            ("first", "dead", (-1.0,)),
            ("second", "running", (-2.0,)),
        ]


def test_a_run_whose_metrics_are_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    make_run(tmp_path / "b", -1.0)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "metrics.db").write_text("no database" * 100)
    broken, whole = find_runs(tmp_path)
    assert (broken.status, whole.status) == ("unknown", "finished")
    assert broken.reason is not None
    assert "can't be read as a run's metrics" in broken.reason


def test_a_file_of_before_the_budget_is_read(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, logged={"x": 1.0})
    connection = sqlite3.connect(tmp_path / "metrics.db")
    connection.execute("ALTER TABLE experiment DROP COLUMN n_episodes")
    connection.execute("ALTER TABLE experiment DROP COLUMN n_steps")
    connection.execute("DROP TABLE logged")
    connection.execute("PRAGMA user_version=1")
    connection.close()
    run = only(tmp_path)
    assert run.budget == (None, None)
    assert math.isnan(run.progress)
    assert (run.logged(), run.metrics()[-1]) == ([], "actor/loss")


def test_directories_are_walked_by_name_and_each_is_read_once(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a"):
        make_run(tmp_path / name, -1.0)
    make_run(tmp_path / "a" / "checkpoints" / "not_a_run", -1.0)
    found = find_runs(tmp_path, tmp_path / "a", tmp_path / "b" / "2" / "metrics.db")
    assert [run.directory.relative_to(tmp_path).as_posix() for run in found] == ["a", "b/10", "b/2"]


def test_a_run_that_is_named_by_two_paths_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "sweep" / "a", 1.0)
    (tmp_path / "link").symlink_to(tmp_path / "sweep")
    monkeypatch.chdir(tmp_path)
    assert [run.directory for run in find_runs("sweep", tmp_path / "sweep", "link")] == [Path("sweep/a")]


def test_where_there_is_no_run_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        RunDirectoryError,
        match="expected runs in or below it, found none; train one by velora train, or name another directory",
    ):
        find_runs(tmp_path)
    with pytest.raises(RunDirectoryError, match="missing: no such directory"):
        find_runs(tmp_path / "missing")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunDirectoryError, match="outputs or multirun: expected runs"):
        find_runs()
    make_run(tmp_path / "multirun" / "x", -1.0)
    assert [str(run.directory) for run in find_runs()] == ["multirun/x"]


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0, status="running")
    before = sorted(path.name for path in tmp_path.iterdir())
    only(tmp_path).episodes()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_what_a_run_left_at_its_end_counts_more_than_its_metrics(tmp_path: Path) -> None:
    make_run(tmp_path / "done", -1.0, status="running")
    make_run(tmp_path / "failed", -1.0, status="running")
    seed = SeedResult(seed=7, mean=-1.0, episode=1, step=200, stop_reason=None)
    budget = {"n_episodes": 4, "n_steps": None}
    outcome.write_result(tmp_path / "done", Result("finished", -1.0, budget, (seed,)))
    outcome.write_failure(tmp_path / "failed", Failure("OSError", "the disk is full", is_mistake=False))
    outcome.write_failure(tmp_path / "never_began", Failure("SettingError", "agent.tau: too large", is_mistake=True))
    assert [(run.directory.name, run.status, run.reason, run.agent) for run in find_runs(tmp_path)] == [
        ("done", "finished", None, "liquid_ddpg"),
        ("failed", "failed", "the disk is full", "liquid_ddpg"),
        ("never_began", "failed", "agent.tau: too large", ""),
    ]


def test_a_damaged_result_is_said_and_hides_nothing(tmp_path: Path) -> None:
    make_run(tmp_path, -1.0)
    (tmp_path / "result.json").write_text("{")
    run = only(tmp_path)
    assert (run.status, run.returns()) == ("finished", (-1.0,))
    assert run.reason is not None
    assert "result.json can't be read" in run.reason


def test_a_job_whose_turn_has_not_come_waits(tmp_path: Path) -> None:
    assert [run.status for run in read_runs(tmp_path / "later")] == ["waiting"]


def test_the_jobs_of_a_sweep_are_there_before_they_begin(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    make_run(sweep / "b", -1.0)
    (sweep / "c").mkdir()  # with the log of a process that is just starting
    (sweep / "c" / "job.log").touch()
    (sweep / "d").mkdir()  # no job
    (sweep / "sweep.json").write_text(json.dumps({"jobs": [{"name": name, "words": []} for name in "abc"]}))
    found = {run.directory.name: run.status for run in find_runs(tmp_path)}
    assert found == {"a": "waiting", "b": "finished", "c": "waiting"}
    (sweep / "sweep.json").write_text("[]")
    assert [run.directory.name for run in find_runs(tmp_path)] == ["b"]


def test_a_job_that_waits_is_told_by_the_words_in_which_it_differs(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    make_run(sweep / "a", -1.0, settings={"n_neurons": 10, "tau": 0.001})
    jobs = [
        {"name": "a", "words": ["agent=liquid_ddpg", "agent.n_neurons=10", "agent.tau=1e-3", "env.id=b:My/Own-v0"]},
        {"name": "b", "words": ["agent=liquid_td3", "agent.n_neurons=20", "agent.tau=1e-3", "env.id=b:My/Own-v0"]},
        {"name": "c", "words": ["train.seed=3", "agent.cell=ltc", "env=hopper"]},
    ]
    (sweep / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    for name in "bc":
        (sweep / name).mkdir()
    found = find_runs(sweep)
    assert [(run.status, run.agent, run.environment) for run in found] == [
        ("finished", "liquid_ddpg", "Pendulum-v1"),
        ("waiting", "liquid_td3", "My/Own-v0"),
        ("waiting", "", "hopper"),
    ]
    assert [run.settings for run in found[1:]] == [{"agent.n_neurons": 20, "agent.tau": 0.001}, {"agent.cell": "ltc"}]
    (sweep / "sweep.json").write_text(json.dumps({"jobs": [*jobs[:1], {"name": "b", "words": []}]}))
    assert [run.agent for run in find_runs(sweep)] == ["liquid_ddpg", ""]


def test_a_file_that_a_run_has_just_made_is_no_fault(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "metrics.db").close()
    with FileLock(tmp_path / ".lock"):
        run = only(tmp_path)
    assert (run.status, run.reason) == ("running", None)
    connection = sqlite3.connect(tmp_path / "metrics.db")
    connection.execute("CREATE TABLE notes (line TEXT)")
    connection.close()
    run = only(tmp_path)
    assert run.status == "unknown"
    assert "no such table: experiment" in str(run.reason)
