from __future__ import annotations

import logging
import math
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from velora.core.errors import VeloraError
from velora.metrics import RunStore, queries, schema, writer

from .rows_to_add import add, evaluate, start


def read(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics.db"


# ---- what is in the tables


def test_rows_are_where_a_person_would_look_for_them(path: Path) -> None:
    with RunStore(path) as store:
        start(store, settings={"gamma": 0.99})
        add(store, 1, -900.5, losses={"actor/loss": 0.25, "critic/loss": 3.0})
        evaluate(store, 1, -800.0, -1000.0)
        store.finish_run("stopped", "target reached")
    assert read(path, "SELECT run_id, agent, environment, seeds, status, stop_reason FROM experiment") == [
        ("run-1", "liquid_ddpg", "Pendulum-v1", "[7]", "stopped", "target reached")
    ]
    assert read(
        path,
        "SELECT seed, episode, step, updates, reward, length, terminated, truncated, reset_seed, window_mean,"
        " window_std, window_max, window_count FROM episode",
    ) == [(7, 1, 200, 100, -900.5, 200, 0, 1, 1001, -900.5, 0.0, -900.5, 1)]
    assert read(path, "SELECT name, value FROM metric ORDER BY name") == [("actor/loss", 0.25), ("critic/loss", 3.0)]
    assert read(path, "SELECT seed, step, episode, mean, std, min, max, returns FROM evaluation") == [
        (7, 200, 1, -900.0, 100.0, -1000.0, -800.0, "[-800.0, -1000.0]")
    ]
    assert read(path, "SELECT json_extract(settings, '$.gamma') FROM experiment") == [(0.99,)]
    assert read(path, "PRAGMA journal_mode") == [("wal",)]


def test_settings_of_a_run_are_beside_those_of_its_agent_in_every_file(path: Path) -> None:
    with RunStore(path) as store:
        with pytest.raises(VeloraError, match="expected start_run"):
            store.describe({})
        start(store, settings={"gamma": 0.99})
        store.describe({"train.batch_size": 64})
        written = '{"gamma": 0.99, "run": {"train.batch_size": 64}}'
        assert read(path, "SELECT settings FROM experiment") == [(written,)]
        path.unlink()
        add(store, 1, 1.0)
        store.flush()
        assert read(path, "SELECT settings FROM experiment") == [(written,)]


def test_an_interrupted_process_leaves_the_run_marked_as_running(path: Path) -> None:
    with RunStore(path) as store:
        start(store)
    assert read(path, "SELECT status, finished_at FROM experiment") == [("running", None)]


def test_nan_is_null_and_comes_back_as_nan(path: Path) -> None:
    with RunStore(path) as store:
        start(store)
        add(store, 1, math.nan, losses={"actor/loss": math.nan})
        evaluate(store, 1, math.nan, 1.0)
    assert read(path, "SELECT reward, window_mean FROM episode") == [(None, None)]
    assert read(path, "SELECT mean, json_extract(returns, '$[1]') FROM evaluation") == [(None, 1.0)]
    assert math.isnan(queries.episodes(path)[0].reward)
    assert math.isnan(queries.episodes(path)[0].metrics["actor/loss"])
    assert math.isnan(queries.evaluations(path)[0].returns[0])


def test_a_return_of_exactly_zero_stays_zero(path: Path) -> None:
    with RunStore(path) as store:
        start(store)
        add(store, 1, 0.0)
    assert read(path, "SELECT reward, window_mean FROM episode") == [(0.0, 0.0)]


def test_numpy_numbers_are_stored_as_numbers(path: Path) -> None:
    with RunStore(path) as store:
        start(store, seeds=(np.int64(7),))  # type: ignore[arg-type]
        add(store, np.int64(1), np.float32(0.5), losses={"x": np.float32(2.0)})  # type: ignore[arg-type, dict-item]
    assert read(path, "SELECT typeof(episode), typeof(step), reward FROM episode") == [("integer", "integer", 0.5)]


# ---- when rows are written


def test_rows_wait_and_are_written_in_batches(path: Path) -> None:
    with RunStore(path, batch_rows=5, interval_s=3600) as store:
        start(store)
        for number in range(1, 5):
            add(store, number)
        assert read(path, "SELECT count(*) FROM episode") == [(0,)]
        assert store.pending == 4
        add(store, 5)
        assert read(path, "SELECT count(*) FROM episode") == [(5,)]
        assert store.pending == 0
        add(store, 6)
    assert read(path, "SELECT count(*) FROM episode") == [(6,)]


def test_rows_are_written_when_the_last_write_is_long_ago(path: Path) -> None:
    with RunStore(path, interval_s=0.0) as store:
        start(store)
        add(store, 1)
        assert read(path, "SELECT count(*) FROM episode") == [(1,)]


def test_flush_writes_at_once(path: Path) -> None:
    with RunStore(path, interval_s=3600) as store:
        start(store)
        add(store, 1)
        assert store.flush()
        assert read(path, "SELECT count(*) FROM episode") == [(1,)]


def test_without_a_path_nothing_is_written_and_all_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RunStore(None) as store:
        start(store)
        add(store, 1, -5.0)
        evaluate(store, 1, -4.0)
        assert [row.reward for row in queries.episodes(store)] == [-5.0]
        assert [row.mean for row in queries.evaluations(store)] == [-4.0]
        assert queries.experiments(store)[0].status == "running"
    assert list(tmp_path.iterdir()) == []


def test_a_row_before_the_run_is_refused(path: Path) -> None:
    with RunStore(path) as store, pytest.raises(VeloraError, match="start_run"):
        add(store, 1)


def test_closing_twice_is_harmless(path: Path) -> None:
    store = RunStore(path)
    start(store)
    add(store, 1, -5.0)
    store.close()
    store.close()
    assert read(path, "SELECT status FROM experiment") == [("running",)]
    assert read(path, "SELECT reward FROM episode") == [(-5.0,)]
    path.rename(path.with_name("moved.db"))  # nothing holds it, and no row was left waiting beside it
    assert [file.name for file in path.parent.iterdir()] == ["moved.db"]


# ---- resume


def test_resume_cuts_off_what_came_after_the_checkpoint_and_goes_on(path: Path) -> None:
    with RunStore(path) as store:
        start(store, seeds=(7, 8))
        for number in (1, 2, 3):
            add(store, number, float(number), losses={"actor/loss": 1.0})
            add(store, number, float(number), seed=8)
            evaluate(store, number, float(number))
        store.finish_run("interrupted")
        started_at = read(path, "SELECT started_at FROM experiment")
    with RunStore(path) as store:
        start(store, seeds=(7, 8), settings={"new": 1})
        store.truncate_after(seed=7, episode=2, step=400, update=0)
        assert read(path, "SELECT status, finished_at FROM experiment") == [("running", None)]
        add(store, 3, 30.0)
    assert read(path, "SELECT episode, reward FROM episode WHERE seed = 7 ORDER BY episode") == [
        (1, 1.0),
        (2, 2.0),
        (3, 30.0),
    ]
    assert read(path, "SELECT count(*) FROM episode WHERE seed = 8") == [(3,)]
    assert read(path, "SELECT max(episode) FROM metric") == [(2,)]
    assert read(path, "SELECT step FROM evaluation ORDER BY step") == [(200,), (400,)]
    assert read(path, "SELECT started_at FROM experiment") == started_at
    assert read(path, "SELECT settings FROM experiment") == [('{"new": 1}',)]


def test_resume_at_episode_zero_removes_all(path: Path) -> None:
    with RunStore(path) as store:
        start(store)
        add(store, 1)
        evaluate(store, 1, 0.0)
        store.truncate_after(seed=7, episode=0, step=0, update=0)
    assert read(path, "SELECT (SELECT count(*) FROM episode) + (SELECT count(*) FROM evaluation)") == [(0,)]


def test_two_runs_share_a_file(path: Path) -> None:
    for run_id, reward in (("first", 1.0), ("second", 2.0)):
        with RunStore(path) as store:
            start(store, run_id)
            add(store, 1, reward)
    with RunStore(path) as store:
        start(store, "second")
        store.truncate_after(seed=7, episode=0, step=0, update=0)
    assert read(path, "SELECT run_id, reward FROM episode") == [("first", 1.0)]


# ---- what must never stop a training run


HOLD_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
"""


def warnings_in(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]


def test_another_process_holding_the_lock_delays_the_rows_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = RunStore(path, interval_s=0.0, busy_timeout_s=0.01)
    start(store)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for number in (1, 2, 3):
            add(store, number)
        assert store.pending == 3
        assert len(warnings_in(caplog)) == 1
        assert "locked" in warnings_in(caplog)[0]
        other.communicate("\n")
    add(store, 4)
    assert store.pending == 0
    assert "can be written again" in warnings_in(caplog)[1]
    store.close()
    assert read(path, "SELECT count(*) FROM episode") == [(4,)]


def test_after_a_failure_a_full_batch_does_not_try_each_time(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.mkdir()  # where the file should be
    with RunStore(path, batch_rows=1, interval_s=3600) as store:
        start(store)
        path.rmdir()
        add(store, 1)
        assert store.pending == 1
        assert store.flush()
    assert read(path, "SELECT count(*) FROM episode") == [(1,)]


def test_a_disk_on_which_every_attempt_is_slow_does_not_stop_training(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[float] = []

    def slow(*arguments: Any, **keywords: Any) -> sqlite3.Connection:  # as SQLite does on a full disk, for ten seconds
        attempts.append(time.monotonic())
        time.sleep(0.03)
        raise sqlite3.OperationalError("locking protocol")

    monkeypatch.setattr(writer, "connect", slow)
    monkeypatch.setattr(writer, "_SLOW_S", 0.02)
    store = RunStore(path, interval_s=0.0)
    start(store)
    end_s, number = time.monotonic() + 1.0, 0
    while time.monotonic() < end_s:
        number += 1
        add(store, number)
        assert not store.flush()
        time.sleep(0.001)
    assert len(attempts) <= 4 < number  # one each 0.3 s
    monkeypatch.setattr(writer, "connect", schema.connect)
    store.close()  # doesn't wait
    assert read(path, "SELECT count(*) FROM episode") == [(number,)]


def test_a_directory_that_cannot_be_made_costs_the_rows_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a directory")
    store = RunStore(tmp_path / "file" / "metrics.db", interval_s=0.0, max_pending=3)
    start(store)
    for number in range(1, 6):
        add(store, number)
    assert (store.pending, store.dropped) == (3, 2)
    assert len(warnings_in(caplog)) == 1
    store.close()
    assert "3 rows could not be written" in warnings_in(caplog)[-1]
    assert (tmp_path / "file").read_text() == "not a directory"


def test_a_file_that_is_no_database_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_text("my notes" * 1000)
    with RunStore(path) as store:
        start(store)
        add(store, 1)
        with pytest.raises(VeloraError, match="can't be opened"):
            _ = store.connection
    assert path.read_text() == "my notes" * 1000
    assert "file is not a database" in warnings_in(caplog)[0]


def test_tables_of_a_newer_release_are_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with RunStore(path) as store:
        start(store)
    assert "version 99" in warnings_in(caplog)[0]
    assert read(path, "SELECT count(*) FROM sqlite_master") == [(0,)]


def test_a_deleted_database_is_made_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RunStore(path, interval_s=0.0) as store:
        start(store)
        add(store, 1)
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
        add(store, 2)
        assert read(path, "SELECT episode FROM episode") == [(2,)]
        assert read(path, "SELECT run_id FROM experiment") == [("run-1",)]
    assert any("was deleted or replaced" in warning for warning in warnings_in(caplog))


FILL_THE_DISK = """
import logging, resource, sys
from velora.metrics import RunStore
sys.path.insert(0, sys.argv[2])
from metrics.rows_to_add import add, start
logging.basicConfig(level=logging.WARNING)
store = RunStore(sys.argv[1], interval_s=0.0)
start(store)
add(store, 1)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
for number in range(2, 500):
    add(store, number)
waited = store.pending
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.close()
print(waited)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_delays_the_rows_only(path: Path) -> None:
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path), str(tests)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert "training goes on" in done.stderr
    assert read(path, "SELECT count(*) FROM episode") == [(499,)]
    assert read(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_killed_process_loses_no_row_that_was_flushed(path: Path) -> None:
    program = (
        "import os, signal, sys; from velora.metrics import RunStore; sys.path.insert(0, sys.argv[2]);"
        "from metrics.rows_to_add import add, start; store = RunStore(sys.argv[1]); start(store);"
        "[add(store, n) for n in range(1, 51)]; store.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(path), str(Path(__file__).parents[1])], timeout=60, check=False)
    assert read(path, "SELECT count(*) FROM episode") == [(50,)]


def test_resume_within_another_branch_cuts_its_rows_off_by_their_step(path: Path) -> None:
    with RunStore(path) as store:
        start(store, seeds=(7, 8))
        for number in (1, 2, 3):
            add(store, number, losses={"actor/loss": 1.0})
            add(store, number, seed=8)
        store.truncate_after(seed=7, episode=3, step=399, update=0)
    assert read(path, "SELECT episode FROM episode WHERE seed = 7") == [(1,)]
    assert read(path, "SELECT episode FROM metric") == [(1,)]
    assert read(path, "SELECT count(*) FROM episode WHERE seed = 8") == [(3,)]
