"""Rows outlive a power cut once they were synced, and those that are missing are counted."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from velora.core import disk
from velora.metrics import RunStore, queries

from .rows_to_add import add, evaluate, start

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="sees what is synced by Linux's /proc")


class Disk:
    """What is surely on the device: the content of every file when it was last synced, and the synced names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.content: dict[Path, bytes] = {}
        self.directories: set[Path] = set()
        self.n_syncs = 0
        fsync = os.fsync

        def watched(descriptor: int) -> None:
            fsync(descriptor)
            self.n_syncs += 1
            path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path.is_dir():
                self.directories.add(path)
            else:
                self.content[path] = path.read_bytes()

        monkeypatch.setattr(os, "fsync", watched)


def test_a_power_cut_after_a_sync_loses_no_row_of_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, path = Disk(monkeypatch), tmp_path / "runs" / "run" / "metrics.db"
    with RunStore(path, interval_s=0.0) as store:
        start(store)
        database = path.read_bytes()  # SQLite itself writes it only once the log is full
        for number in range(1, 8):
            add(store, number, losses={"actor/loss": 0.5})
        evaluate(store, 7, -1.0)
        assert store.flush()
        assert store.wait_for_disk()
        add(store, 8)
        after = tmp_path / "after" / "metrics.db"
        after.parent.mkdir()
        after.write_bytes(database)
        Path(f"{after}-wal").write_bytes(device.content[Path(f"{path}-wal")])
    assert [row.episode for row in queries.episodes(after)] == [*range(1, 8)]
    assert queries.episodes(after)[6].metrics == {"actor/loss": 0.5}
    assert len(queries.evaluations(after)) == 1
    assert {tmp_path, tmp_path / "runs", path.parent} <= device.directories


def test_what_is_on_the_disk_is_not_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Disk(monkeypatch)
    with RunStore(tmp_path / "metrics.db", interval_s=0.0) as store:
        start(store)
        add(store, 1)
        assert device.n_syncs == 0
        assert store.flush()
        assert store.wait_for_disk()
        first = device.n_syncs
        assert store.flush()
        assert store.wait_for_disk()
        assert device.n_syncs == first > 0
        add(store, 2)
        assert store.flush()
        assert store.wait_for_disk()
        assert device.n_syncs > first


def test_rows_in_memory_have_no_disk_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Disk(monkeypatch)
    with RunStore(None) as store:
        start(store)
        add(store, 1)
        assert store.flush()
        assert store.wait_for_disk()
        assert store.missing(seed=7, episodes=2) == 1
    assert device.n_syncs == 0


def test_a_disk_that_fails_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with RunStore(tmp_path / "metrics.db", interval_s=0.0) as store:
        start(store)
        add(store, 1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            assert not (store.flush() and store.wait_for_disk())
        assert store.flush()
        assert store.wait_for_disk()
    (said,) = caplog.messages
    assert said.startswith(f"metrics: {tmp_path / 'metrics.db'}: the disk doesn't confirm that it has the newest rows")


def test_a_locked_database_leaves_the_locks_of_sqlite_alone(tmp_path: Path) -> None:
    """To close another descriptor of the database would drop them."""
    path = tmp_path / "metrics.db"
    with RunStore(path, interval_s=0.0, busy_timeout_s=0.01) as store:
        start(store)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        add(store, 1)
        assert not (store.flush() and store.wait_for_disk())
        assert store.pending == 1
        assert store.missing(seed=7, episodes=1) is None
        other.execute("COMMIT")
        other.close()
        assert store.flush()
        assert store.wait_for_disk()
        assert store.missing(seed=7, episodes=1) == 0
    shutil.rmtree(tmp_path)


def test_missing_rows_are_counted_for_one_seed_of_one_run(tmp_path: Path) -> None:
    with RunStore(tmp_path / "metrics.db") as store:
        start(store, "other", seeds=(7,))
        add(store, 1)
    with RunStore(tmp_path / "metrics.db") as store:
        start(store, seeds=(7, 8))
        for number in (1, 2, 4):
            add(store, number)
        add(store, 3, seed=8)
        assert store.missing(seed=7, episodes=7) == 4
        assert store.missing(seed=7, episodes=2) == 0
        assert store.missing(seed=8, episodes=3) == 2
        assert store.missing(seed=8, episodes=0) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such call")
def test_a_new_directory_is_named_on_the_disk_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Disk(monkeypatch)
    disk.make_directory(tmp_path / "a" / "b" / "c")
    assert device.directories == {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    disk.make_directory(tmp_path / "a" / "b" / "c")
    assert device.n_syncs == 3
