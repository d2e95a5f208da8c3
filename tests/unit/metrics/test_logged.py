"""Numbers that callbacks log, in the store: where they stand, what a resume removes, and files of before the table."""

from __future__ import annotations

import logging
import math
import sqlite3
from pathlib import Path

import pytest

from velora.metrics import LoggedRow, RunStore, queries

from .rows_to_add import add, start

VERSION_1 = """
    CREATE TABLE experiment (
        run_id TEXT PRIMARY KEY, agent TEXT NOT NULL, environment TEXT NOT NULL, seeds TEXT NOT NULL,
        settings TEXT NOT NULL, versions TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,
        status TEXT NOT NULL, stop_reason TEXT
    );
    CREATE TABLE episode (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, episode INTEGER NOT NULL, step INTEGER NOT NULL,
        updates INTEGER NOT NULL, reward REAL, length INTEGER NOT NULL, terminated INTEGER NOT NULL,
        truncated INTEGER NOT NULL, reset_seed INTEGER NOT NULL, window_mean REAL, window_std REAL, window_max REAL,
        window_count INTEGER NOT NULL, seconds REAL, PRIMARY KEY (run_id, seed, episode)
    );
    CREATE TABLE metric (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, episode INTEGER NOT NULL, name TEXT NOT NULL, value REAL,
        PRIMARY KEY (run_id, seed, episode, name)
    ) WITHOUT ROWID;
    CREATE TABLE evaluation (
        run_id TEXT NOT NULL, seed INTEGER NOT NULL, step INTEGER NOT NULL, episode INTEGER NOT NULL,
        mean REAL, std REAL, min REAL, max REAL, returns TEXT NOT NULL, PRIMARY KEY (run_id, seed, step)
    );
    INSERT INTO experiment VALUES
        ('run-1', 'liquid_ddpg', 'Pendulum-v1', '[7]', '{}', '{}', '2026-11-01T00:00:00+00:00', NULL, 'running', NULL);
    INSERT INTO episode VALUES ('run-1', 7, 1, 200, 100, -900.0, 200, 0, 1, 1001, -900.0, 0.0, -900.0, 1, 0.5);
    PRAGMA user_version = 1;
"""
"""A file as velora 0.2.0 wrote it."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "metrics.db")
    connection.executescript(VERSION_1)
    connection.close()
    return tmp_path


def log(store: RunStore, step: int, update: int, **metrics: float) -> None:
    store.add_logged(metrics, seed=7, step=step, update=update, episode=step // 200)


def test_a_number_is_kept_with_its_seed_and_place(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store, seeds=(7, 8))
        store.add_logged({"lr": 0.5, "norm": math.nan}, seed=7, step=200, update=100, episode=1)
        store.add_logged({"lr": 0.25}, seed=8, step=200, update=100, episode=1)
    first, norm, other = queries.logged(tmp_path)
    assert first == LoggedRow(seed=7, name="lr", step=200, updates=100, episode=1, value=0.5)
    assert math.isnan(norm.value)
    assert (other.seed, other.value) == (8, 0.25)
    assert queries.logged(tmp_path, seed=8) == [other]
    assert queries.logged(tmp_path, name="norm", seed=8) == []


def test_several_updates_of_a_step_have_a_row_each_and_the_newest_of_one_place_stays(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store)
        log(store, 5, 1, x=1.0)
        log(store, 5, 2, x=2.0)
        log(store, 5, 2, x=3.0)
    assert [(row.updates, row.value) for row in queries.logged(tmp_path)] == [(1, 1.0), (2, 3.0)]


def test_a_resume_removes_what_was_logged_after_the_checkpoint(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store)
        for step, update in ((199, 99), (200, 100), (200, 101), (201, 101)):
            log(store, step, update, x=0.0)
        store.truncate_after(seed=7, episode=1, step=200, update=100)
    assert [(row.step, row.updates) for row in queries.logged(tmp_path)] == [(199, 99), (200, 100)]


def test_a_file_of_version_1_is_read_as_it_is(old: Path) -> None:
    (row,) = queries.experiments(old)
    assert (row.n_episodes, row.n_steps, len(queries.episodes(old))) == (None, None, 1)
    assert queries.logged(old) == []
    assert queries.metric_names(old, run_id="run-1") == []


def test_a_resume_brings_a_file_of_version_1_up_to_date(old: Path) -> None:
    with RunStore(old / "metrics.db") as store:
        start(store, n_episodes=10, n_steps=4000)
        store.truncate_after(seed=7, episode=1, step=200, update=100)
        add(store, 2, -800.0)
        log(store, 400, 300, x=1.0)
    (row,) = queries.experiments(old)
    assert (row.n_episodes, row.n_steps, row.started_at) == (10, 4000, "2026-11-01T00:00:00+00:00")
    assert [episode.reward for episode in queries.episodes(old)] == [-900.0, -800.0]
    assert len(queries.logged(old)) == 1
    connection = sqlite3.connect(old / "metrics.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()


def test_a_file_of_version_1_that_can_not_be_changed_stays_whole(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    connection = sqlite3.connect(old / "metrics.db")
    connection.execute("ALTER TABLE experiment ADD COLUMN n_steps TEXT")  # somebody's own: ours fails at it
    connection.close()
    with caplog.at_level(logging.WARNING), RunStore(old / "metrics.db") as store:
        start(store)
        add(store, 2)
    assert "duplicate column name: n_steps" in caplog.text
    connection = sqlite3.connect(old / "metrics.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(experiment)")]
    assert "n_episodes" not in columns
    assert connection.execute("SELECT count(*) FROM episode").fetchone() == (1,)
    connection.close()
