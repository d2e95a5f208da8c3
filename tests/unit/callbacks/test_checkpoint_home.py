"""Files that systems and people leave beside the checkpoints of a run stop nothing, and stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from velora.callbacks import SaveCheckpoints
from velora.callbacks.checkpoint_home import CheckpointHome
from velora.checkpoint import Checkpoint
from velora.checkpoint.layout import LOCK_NAME
from velora.core import disk
from velora.core.errors import RunDirectoryError

from .stand_in import Agent, Trainer

LITTER = (".DS_Store", "._ep1", "Thumbs.db", "desktop.ini", ".directory", ".ipynb_checkpoints/notes.ipynb")
FILES = (
    *LITTER,
    "notes.txt",
    "README.md",
    "plots/curve.png",
    "ep2",
    "best",
    "seed7/x",
    "ep10 copy/metadata.json",
    "a:b",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


def run(
    home: Path, *episodes: float, run_id: str = "run-1", agent: Agent | None = None, keep: int | None = None
) -> None:
    callbacks = [SaveCheckpoints(home, frequency=1, keep_last=keep)]
    trainer = Trainer(agent or Agent(), callbacks=callbacks, run_id=run_id, evaluate_every=1)
    trainer.start()
    for value in episodes:
        trainer.play(value)
        trainer.show_evaluation(value)
    trainer.end("interrupted")


def put(directory: Path, *names: str) -> dict[Path, str]:
    """Write files, with their own names in them."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")
    return {directory / name: f"mine: {name}" for name in names}


def texts(home: Path) -> list[str]:
    found = (path for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path.read_text() for path in found if path.read_bytes().startswith(b"mine: "))


def test_a_run_goes_on_beside_whatever_was_put_there(home: Path) -> None:
    run(home, 1.0)
    (home / "best").rename(home / "best of all")
    files = put(home, *FILES)
    (home / "latest").symlink_to(home / "ep1", target_is_directory=True)
    (home / "gone").symlink_to("nowhere")
    run(home, 1.0, 2.0, 3.0)
    assert [Checkpoint.open(home / name).metadata.progress.episode for name in ("ep2", "best", "interrupted")] == [
        2,
        3,
        3,
    ]
    assert texts(home) == sorted(files.values())
    assert {(home / name).read_text() for name in ("ep2-kept1", "best-kept1")} == {"mine: ep2", "mine: best"}
    assert Checkpoint.open(home / "latest").metadata.progress.episode == 1
    assert os.readlink(home / "gone") == "nowhere"
    newest = Checkpoint.latest(home)
    assert newest is not None
    assert newest.metadata.progress.episode == 3


def test_seeds_go_on_beside_whatever_was_put_there(home: Path) -> None:
    agent = Agent(seeds=(3, 11))
    run(home, 1.0, agent=agent)
    names = [name for name in FILES if name not in ("best", "ep2")]
    files = put(home, *names) | put(home / "seed3", *names) | put(home / "seed11", *names)
    run(home, 1.0, 2.0, agent=agent)
    assert Checkpoint.open(home / "seed3" / "interrupted").metadata.progress.episode == 2
    assert texts(home) == sorted(files.values())


@pytest.mark.parametrize("name", ["interrupted", "best", "ep2"])
def test_what_was_put_into_a_checkpoint_stays_when_it_is_replaced(name: str, home: Path) -> None:
    for _ in range(3):
        run(home, 1.0, 2.0)
        put(home / name, "notes.txt")
    run(home, 1.0, 2.0)
    assert Checkpoint.open(home / name).metadata.progress.episode == 2
    assert not (home / name / "notes.txt").exists()
    assert texts(home) == ["mine: notes.txt"] * 3
    assert (home / f"{name}-kept3" / "notes.txt").exists()


def test_what_was_put_into_a_checkpoint_stays_when_it_gets_old(home: Path) -> None:
    trainer = Trainer(callbacks=[SaveCheckpoints(home, frequency=2, keep_last=1)])
    trainer.start()
    trainer.play(1.0, 2.0)
    put(home / "ep2", "notes.txt")
    (home / "ep1").symlink_to(home / "ep2", target_is_directory=True)
    trainer.play(*[1.0] * 6)
    trainer.end()
    assert texts(home) == ["mine: notes.txt"]
    assert {"ep1", "ep2", "ep8"} == {path.name for path in home.glob("ep?")}
    assert not list(home.glob(".velora-pruned*"))


def test_a_link_in_the_place_of_a_checkpoint_is_not_written_through(home: Path, tmp_path: Path) -> None:
    run(home, 1.0)
    other = tmp_path / "archive"
    (home / "interrupted").rename(other)
    (home / "interrupted").symlink_to(other, target_is_directory=True)
    run(home, 1.0, 2.0)
    assert Checkpoint.open(other).metadata.progress.episode == 1
    assert Checkpoint.open(home / "interrupted").metadata.progress.episode == 2
    assert (home / "interrupted-kept1").is_symlink()


def test_litter_is_no_obstacle_to_a_new_run_but_files_are(home: Path) -> None:
    put(home, *LITTER)
    run(home, 1.0)
    assert len(texts(home)) == len(LITTER)
    for name in ("notes.txt", "plots/curve.png", ".hidden"):
        other = home.parent / f"of {Path(name).stem}"
        put(other, name)
        with pytest.raises(RunDirectoryError, match="expected an empty directory or this run's checkpoints, found"):
            run(other, 1.0)
        assert [path for path in other.rglob("*") if path.is_file()] == [other / name]


def test_another_runs_checkpoint_is_refused_among_all_that(home: Path) -> None:
    run(home, 1.0)
    put(home, "notes.txt")
    with pytest.raises(RunDirectoryError, match="found"):
        run(home, 1.0, run_id="run-2")
    run(home.parent / "other", 1.0, run_id="run-2")
    (home.parent / "other" / "ep1").rename(home / "ep500")
    with pytest.raises(RunDirectoryError, match="found ep500 of run run-2"):
        run(home, 1.0)


def test_the_lock_is_durable_before_an_overview_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut that took the lock's name alone would leave an overview that nobody is known to have written."""
    synced: list[tuple[Path, list[str]]] = []
    wait = disk.sync_directory

    def note(path: Path) -> None:
        synced.append((path, sorted(os.listdir(path))))
        wait(path)

    monkeypatch.setattr(disk, "sync_directory", note)
    home = CheckpointHome(tmp_path / "checkpoints", run_id="r", seeds=(0,))
    assert (tmp_path / "checkpoints", [LOCK_NAME]) in synced
    home.release()
