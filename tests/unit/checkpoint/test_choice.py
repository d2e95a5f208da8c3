from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoint
from velora.core.errors import CheckpointError
from velora.models import LiquidDDPG


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save an agent; tests copy it."""
    return LiquidDDPG(3, 3, 1, device="cpu", seed=0).save(tmp_path_factory.mktemp("saved") / "ep1")


@pytest.fixture
def run(tmp_path: Path, saved: Path) -> Path:
    """Make what a run leaves: best, ep1 and final."""
    for name in ("best", "ep1", "final"):
        shutil.copytree(saved, tmp_path / "run" / "checkpoints" / name)
    (tmp_path / "run" / "config.yaml").touch()
    return tmp_path / "run"


def damage(checkpoint: Path) -> None:
    (checkpoint / "model_state.safetensors").write_bytes(b"damaged")


def test_a_checkpoint_is_itself_even_if_it_is_damaged(run: Path) -> None:
    path = run / "checkpoints" / "ep1"
    assert choose_checkpoint(path) == path
    (path / "metadata.json").unlink()
    assert choose_checkpoint(path) == path


def test_of_a_run_it_is_the_final_then_the_best_then_the_newest(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = run / "checkpoints"
    assert choose_checkpoint(run) == choose_checkpoint(checkpoints) == checkpoints / "final"
    damage(checkpoints / "final")
    assert choose_checkpoint(run) == checkpoints / "best"
    assert "skipped: " in caplog.text
    shutil.rmtree(checkpoints / "best")
    assert choose_checkpoint(checkpoints) == checkpoints / "ep1"


@pytest.mark.parametrize("job", ["job", "trial0000/run"])
def test_a_sweep_and_a_study_are_no_run_but_hold_some(tmp_path: Path, job: str) -> None:
    (tmp_path / job / "checkpoints").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"no run, but runs below it; give one of those: velora runs \S+ lists"):
        choose_checkpoint(tmp_path)


def test_where_there_is_no_valid_checkpoint_what_is_there_is_named(run: Path) -> None:
    for name in ("best", "ep1", "final"):
        damage(run / "checkpoints" / name)
    with pytest.raises(
        CheckpointError, match=r"expected a checkpoint, or a run with a valid one, found best, ep1, final$"
    ):
        choose_checkpoint(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match=r"found config\.yaml$"):
        choose_checkpoint(run)
    (run / "config.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"found nothing$"):
        choose_checkpoint(run)
    for number in range(12):
        (run / f"{number:02}").mkdir()
    with pytest.raises(CheckpointError, match=r"found 00, 01, 02, 03, 04, 05, 06, 07, 08, 09 and 2 more$"):
        choose_checkpoint(run)


@pytest.mark.parametrize("name", ["checkpoints/ep2", "ep1"])
def test_beside_a_missing_checkpoint_the_others_are_named(run: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        choose_checkpoint(run / name)
    assert str(caught.value) == f"{run / name}: no checkpoint here; in {run}/checkpoints there is best, ep1, final"


def test_where_there_is_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint here; check the path"):
        choose_checkpoint(tmp_path / "nowhere" / "ep1")


def test_what_loads_a_run_is_told_which_checkpoint_it_may_load(run: Path, tmp_path: Path) -> None:
    for path in (run, run / "checkpoints"):
        with pytest.raises(CheckpointError, match=r"holds checkpoints, and is none; .* such as .*checkpoints/final$"):
            Checkpoint.open(path)
    shutil.copytree(run / "checkpoints", tmp_path / "several" / "checkpoints" / "seed3")
    with pytest.raises(CheckpointError, match=r"such as .*several/checkpoints/seed3/final$"):
        Checkpoint.open(tmp_path / "several")
