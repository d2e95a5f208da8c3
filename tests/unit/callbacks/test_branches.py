"""A run that goes on from an older checkpoint begins a branch in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import RunDirectoryError

from .stand_in import Trainer


def resumed(home: Path, at: str | None, *, newest_of: Path | None = None, **settings: Any) -> Trainer:
    """Stand where a checkpoint was written; ``None`` is the beginning."""
    trainer = Trainer(callbacks=[SaveCheckpoints(home, frequency=1, **settings)])
    lane = trainer.lanes[0]
    if at is not None:
        metadata = Checkpoint.open(home / at).metadata
        lane.episode, lane.step, lane.lineage = metadata.progress.episode, metadata.progress.step, metadata.lineage
    lane.newest_of = newest_of
    trainer.start()
    return trainer


def lived(home: Path, episodes: int, at: str | None = None, **settings: Any) -> Trainer:
    trainer = resumed(home, at, **settings)
    trainer.play(*[0.0] * episodes)
    trainer.end()
    return trainer


def lineage(checkpoint: Path) -> tuple[tuple[int, int], ...]:
    return Checkpoint.open(checkpoint).metadata.lineage


def test_to_go_on_from_the_newest_begins_none(tmp_path: Path) -> None:
    lived(tmp_path, 2)
    lived(tmp_path, 2, "final", newest_of=tmp_path)
    assert {lineage(tmp_path / name) for name in ("ep1", "ep2", "ep3", "ep4", "final")} == {((0, 0),)}


def test_a_branch_is_gone_on_with_however_soon_it_was_killed(tmp_path: Path) -> None:
    lived(tmp_path, 5)
    killed = resumed(tmp_path, "ep2")
    killed.callbacks[0]._home.release()  # type: ignore[attr-defined]
    assert lineage(tmp_path / "ep2") == ((0, 0), (1, 400))
    latest = Checkpoint.latest(tmp_path)
    assert latest is not None
    assert latest.path.name == "ep2"
    lived(tmp_path, 1, "ep2", newest_of=tmp_path)
    assert [lineage(tmp_path / name)[-1] for name in ("ep1", "ep2", "ep3", "ep4", "final")] == [
        (0, 0),
        (1, 400),
        (1, 400),
        (0, 0),
        (1, 400),
    ]


def test_a_second_branch_has_a_number_of_its_own(tmp_path: Path) -> None:
    lived(tmp_path, 5)
    lived(tmp_path, 1, "ep2")
    lived(tmp_path, 1, "ep4")  # which the first branch left behind
    assert lineage(tmp_path / "final") == ((0, 0), (2, 800))
    lived(tmp_path, 1, "ep3")  # of the first branch
    assert lineage(tmp_path / "final") == ((0, 0), (1, 400), (3, 600))


def test_a_checkpoint_from_elsewhere_begins_one_too(tmp_path: Path) -> None:
    """The beginning of the run is nowhere in its directory."""
    lived(tmp_path, 3)
    lived(tmp_path, 1)
    assert lineage(tmp_path / "final") == ((0, 0), (1, 0))


def test_each_seed_has_branches_of_its_own(tmp_path: Path) -> None:
    from .stand_in import Agent

    def start(*episodes: int) -> Trainer:
        trainer = Trainer(Agent(seeds=(3, 4)), callbacks=[SaveCheckpoints(tmp_path, frequency=1)])
        for lane, number in zip(trainer.lanes, episodes, strict=True):
            lane.episode, lane.step = number, 200 * number
        trainer.start()
        return trainer

    trainer = start(0, 0)
    trainer.play(0.0, 0.0, seed_index=0)
    trainer.play(0.0, 0.0, 0.0, seed_index=1)
    trainer.end("interrupted")
    start(2, 1).end("interrupted")
    assert lineage(tmp_path / "seed3" / "interrupted") == ((0, 0),)
    assert lineage(tmp_path / "seed4" / "interrupted") == ((0, 0), (1, 200))


def test_what_a_branch_left_behind_is_pruned_first(tmp_path: Path) -> None:
    lived(tmp_path, 4)
    trainer = resumed(tmp_path, "ep1", keep_last=2)
    trainer.play(0.0)
    assert {path.name for path in tmp_path.glob("ep*")} == {"ep1", "ep2", "ep3", "ep4"}
    trainer.play(0.0, 0.0)
    assert {path.name for path in tmp_path.glob("ep*")} == {"ep3", "ep4"}
    trainer.end()


def test_whoever_read_before_another_process_went_on_is_told(tmp_path: Path) -> None:
    lived(tmp_path, 2)
    slow = Trainer(callbacks=[SaveCheckpoints(tmp_path, frequency=1)])
    slow.lanes[0].episode, slow.lanes[0].step, slow.lanes[0].newest_of = 2, 400, tmp_path
    lived(tmp_path, 2, "final")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(RunDirectoryError, match=r"final is newer than the checkpoint that was read.*resume again"):
        slow.start()
    slow.crash(RunDirectoryError())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    lived(tmp_path, 1, "final")  # and the directory is free


def test_a_newer_one_that_is_damaged_is_no_other_process(tmp_path: Path) -> None:
    lived(tmp_path, 3)
    for name in ("ep3", "final"):
        (tmp_path / name / "model_state.safetensors").write_bytes(b"damaged")
    lived(tmp_path, 1, "ep2", newest_of=tmp_path)
    assert lineage(tmp_path / "ep3") == ((0, 0), (1, 400))


def test_a_live_run_is_told_of_as_such_in_the_middle_of_its_first_save(tmp_path: Path) -> None:
    """Its overview is there before its first checkpoint."""
    (tmp_path / "model_config.json").write_text("{}")
    with FileLock(tmp_path / ".lock"), pytest.raises(RunDirectoryError, match="another process is saving"):
        resumed(tmp_path, None)


def test_a_second_directory_of_the_run_may_hold_newer_ones(tmp_path: Path) -> None:
    """A run that was killed has saved into one of them last."""
    lived(tmp_path / "often", 4)
    lived(tmp_path / "seldom", 2)
    lived(tmp_path / "often", 1, "ep2", newest_of=tmp_path / "seldom")
    assert lineage(tmp_path / "often" / "final") == ((0, 0), (1, 400))


def test_what_was_put_into_the_checkpoint_that_a_branch_begins_at_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    lived(home, 3)
    (home / "ep2" / "plots").mkdir()
    for name in ("notes.txt", "plots/curve.png"):
        (home / "ep2" / name).write_text("mine")
    (home / "ep2" / "link").symlink_to("nowhere")
    lived(home, 1, "ep2")
    assert lineage(home / "ep2") == ((0, 0), (1, 400))
    assert [(home / "ep2" / name).read_text() for name in ("notes.txt", "plots/curve.png")] == ["mine", "mine"]
    assert (home / "ep2" / "link").is_symlink()
