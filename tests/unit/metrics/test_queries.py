from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from velora.core.errors import RunDirectoryError
from velora.metrics import RunStore, queries

from .rows_to_add import add, evaluate, start


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store, "old")
        add(store, 1, -1.0)
    with RunStore(tmp_path / "metrics.db") as store:
        start(store, "new", seeds=(7, 8), settings={"tau": 0.005})
        store.describe({"train.batch_size": 64, "env.time.hold": [1, 4]})
        for number in (1, 2):
            add(store, number, 10.0 * number, losses={"actor/loss": float(number)})
            add(store, number, 20.0 * number, seed=8)
        evaluate(store, 2, 5.0, 7.0, seed=8)
        store.finish_run("finished")
    return tmp_path


def test_the_newest_run_is_the_default(run_dir: Path) -> None:
    assert [run.run_id for run in queries.experiments(run_dir)] == ["old", "new"]
    rows = queries.episodes(run_dir)
    assert [(row.seed, row.episode, row.reward) for row in rows] == [(7, 1, 10), (7, 2, 20), (8, 1, 20), (8, 2, 40)]
    assert [row.reward for row in queries.episodes(run_dir, run_id="old")] == [-1.0]


def test_an_episode_comes_back_whole(run_dir: Path) -> None:
    row = queries.episodes(run_dir / "metrics.db", seed=7)[1]
    assert (row.step, row.updates, row.length, row.reset_seed) == (400, 300, 200, 1002)
    assert (row.terminated, row.truncated) == (False, True)
    assert (row.window_mean, row.window_std, row.window_max, row.window_count) == (20.0, 0.0, 20.0, 1)
    assert row.metrics == {"actor/loss": 2.0}
    assert row.seconds >= 0


def test_an_experiment_comes_back_whole(run_dir: Path) -> None:
    run = queries.experiments(run_dir)[1]
    assert (run.agent, run.environment, run.seeds) == ("liquid_ddpg", "Pendulum-v1", (7, 8))
    assert (run.status, run.settings) == ("finished", {"tau": 0.005})
    assert run.run_settings == {"train.batch_size": 64, "env.time.hold": [1, 4]}
    assert queries.experiments(run_dir)[0].run_settings == {}
    assert run.finished_at is not None
    assert run.finished_at.endswith("+00:00")
    assert "torch" in run.versions


def test_evaluations(run_dir: Path) -> None:
    assert queries.evaluations(run_dir, seed=7) == []
    (row,) = queries.evaluations(run_dir)
    assert (row.seed, row.step, row.returns, row.mean, row.std) == (8, 400, (5.0, 7.0), 6.0, 1.0)


def test_a_learning_curve_is_two_arrays(run_dir: Path) -> None:
    steps, returns = queries.learning_curve(run_dir, seed=8)
    np.testing.assert_array_equal(steps, [200, 400])
    np.testing.assert_array_equal(returns, [20.0, 40.0])
    assert queries.learning_curve(run_dir, seed=99)[0].shape == (0,)


def test_reading_does_not_disturb_a_writer_nor_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    with RunStore(path, interval_s=0.0) as store:
        start(store)
        for number in range(1, 20):
            add(store, number)
            assert len(queries.episodes(tmp_path)) == number
        assert store.pending == 0
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        try:
            assert len(queries.episodes(tmp_path)) == 19
            assert len(queries.episodes(store)) == 19
        finally:
            writer.close()


def test_reading_writes_nothing(run_dir: Path) -> None:
    before = (run_dir / "metrics.db").read_bytes()
    queries.episodes(run_dir)
    assert (run_dir / "metrics.db").read_bytes() == before
    assert [path.name for path in run_dir.iterdir()] == ["metrics.db"]


def test_a_run_that_was_killed_is_read_with_its_newest_rows(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store)
        add(store, 1)
        store.flush()
        shutil.copytree(tmp_path, tmp_path / "killed")
    assert (tmp_path / "killed" / "metrics.db-wal").stat().st_size > 0
    assert len(queries.episodes(tmp_path / "killed")) == 1


@pytest.mark.parametrize("name", ["a b", "50%", "what?", "#1"])
def test_a_strange_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    with RunStore(tmp_path / name / "metrics.db") as store:
        start(store)
        add(store, 1)
    assert len(queries.episodes(tmp_path / name)) == 1


def test_where_there_is_no_store_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"expected a run directory with metrics\.db"):
        queries.episodes(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.db").write_text("notes" * 1000)
    with pytest.raises(RunDirectoryError, match=r"metrics\.db: can't be read as a run's metrics"):
        queries.experiments(tmp_path)


def test_a_store_without_runs_is_empty(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        assert store.flush()
    assert queries.experiments(tmp_path) == []
    assert queries.episodes(tmp_path) == []
