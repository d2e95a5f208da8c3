from __future__ import annotations

import contextlib
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from velora.cli.run import claim, run_directory
from velora.core.errors import RunDirectoryError


@pytest.fixture(autouse=True)
def outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the job that another test composed in this process: a command is typed where the test stands."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)


def test_labels_are_safe_names_and_differ() -> None:
    labels = {run_directory.run_label("my.module:Env/Sub-v0 ") for _ in range(50)}
    assert len(labels) > 40
    assert all(re.fullmatch(r"my\.module-Env-Sub-v0-_[0-9a-f]{4}", label) for label in labels)


def test_settings_come_back(tmp_path: Path) -> None:
    cfg = OmegaConf.create({"a": 1, "b": {"c": "${a}"}, "text": "größer"})
    run_directory.save_settings(tmp_path / "run", cfg)
    assert run_directory.load_settings(tmp_path / "run") == {"a": 1, "b": {"c": 1}, "text": "größer"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_saving_again_replaces(tmp_path: Path) -> None:
    for value in (1, 2):
        run_directory.save_settings(tmp_path, OmegaConf.create({"a": value}))
    assert run_directory.load_settings(tmp_path).a == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="can't be written"):
        run_directory.save_settings(tmp_path / "file" / "run", OmegaConf.create({}))


@pytest.mark.parametrize("held", ["config.yaml", "metrics.db", "checkpoints"])
def test_a_directory_that_holds_a_run_is_not_free(tmp_path: Path, held: str) -> None:
    run_directory.check_free(tmp_path)
    (tmp_path / held).mkdir()
    with pytest.raises(RunDirectoryError, match=f"holds a run already \\({held}\\); go on with it by resume="):
        run_directory.check_free(tmp_path)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "a: 1\na: 2\n", "\x00"])
def test_unreadable_settings_are_reported_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunDirectoryError) as caught:
        run_directory.load_settings(tmp_path)
    assert "config.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_run_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"is no run: it has no config\.yaml"):
        run_directory.load_settings(tmp_path)
    with pytest.raises(RunDirectoryError, match="does not exist"):
        run_directory.load_settings(tmp_path / "nowhere")


def test_what_a_refused_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_dir = tmp_path / "outputs" / "today" / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / ".lock").touch()
    for name in ("metrics.db", "metrics.db-wal"):
        (run_dir / name).touch()
    claim.discard_unstarted(run_dir)
    run_directory.remove_if_empty(run_dir)
    assert not list(tmp_path.iterdir())


def test_a_begun_run_and_its_neighbours_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun, empty = tmp_path / "outputs" / "begun", tmp_path / "outputs" / "empty"
    begun.mkdir(parents=True)
    empty.mkdir()
    for name in ("metrics.db", "config.yaml"):
        (begun / name).touch()
    claim.discard_unstarted(begun)
    run_directory.remove_if_empty(begun)
    run_directory.remove_if_empty(empty)
    assert {path.name for path in begun.iterdir()} == {"metrics.db", "config.yaml"}
    assert not empty.exists()


def test_nothing_outside_the_current_directory_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run_directory.remove_if_empty(tmp_path / "elsewhere")
    run_directory.remove_if_empty(tmp_path / "here")
    assert (tmp_path / "elsewhere").is_dir()
    assert (tmp_path / "here").is_dir()


def test_a_log_file_in_a_removed_directory_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra's file opens at its first line, and a launcher writes one after the job."""
    monkeypatch.chdir(tmp_path)
    gone, kept = tmp_path / "gone", tmp_path / "kept"
    for run_dir in (gone, kept):
        run_dir.mkdir()
    (kept / "config.yaml").touch()
    logger = logging.getLogger("test_a_log_file")
    handlers = [logging.FileHandler(run_dir / "train.log", delay=True) for run_dir in (gone, kept)]
    for handler in handlers:
        logger.addHandler(handler)
    run_directory.remove_if_empty(gone)
    run_directory.remove_if_empty(kept)
    logger.warning("after the job")
    assert logger.handlers == handlers[1:]
    assert (kept / "train.log").read_text() == "after the job\n"
    assert not gone.exists()
    logger.removeHandler(handlers[1])
    handlers[1].close()


TRAINED = """
env:
  {id: Pendulum-v1, kwargs: {g: 9.0}, recommended: {n_steps: 3}, time: {hold: [1, 4], order: null}, mask: {drop: null},
   flicker: {probability: 0.0}, previous: {action_reward: false}}
train: {batch_size: "${size}", n_episodes: 30, seed: 1}
callbacks: {stop: {_target_: my.Stop, target: 0}, gone: null}
size: 64
"""


def test_settings_that_tell_curves_apart_are_those_that_change_what_is_learned() -> None:
    trained = OmegaConf.create(yaml.safe_load(TRAINED))
    assert run_directory.distinguishing(trained) == {
        "train.batch_size": 64,
        "callbacks": "stop",
        "callbacks.stop._target_": "my.Stop",
        "callbacks.stop.target": 0,
        "env.kwargs.g": 9.0,
        "env.time.hold": [1, 4],
        "env.flicker.probability": 0.0,
    }
    plain = OmegaConf.create({"env": {"id": "a", "kwargs": {}}, "train": {"batch_size": 8}, "callbacks": {}})
    assert run_directory.distinguishing(plain) == {"train.batch_size": 8, "callbacks": "none"}


# ---- two processes in one directory

HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire(timeout=0)
print("held", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Let another process hold a lock."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield
        other.communicate("\n")


def test_a_directory_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    run_dir = tmp_path / "outputs" / "run"
    run_dir.mkdir(parents=True)
    with held(run_dir / ".lock"):
        told = pytest.raises(RunDirectoryError, match="another process trains in this run's directory")
        with told as error, claim.claimed(run_dir):
            raise AssertionError("claimed twice")
        assert "\n" not in str(error.value)
        assert (run_dir / ".lock").exists()
    with claim.claimed(run_dir):  # left behind by one that was killed
        assert (run_dir / ".lock").exists()
    assert list(run_dir.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunDirectoryError, match="can't be written"), claim.claimed(tmp_path / "file" / "run"):
        raise AssertionError("claimed")


def test_a_refused_run_leaves_the_files_of_a_live_one_alone(tmp_path: Path) -> None:
    """One that has claimed its checkpoints and not written its settings yet."""
    (tmp_path / "checkpoints" / "seed3").mkdir(parents=True)
    for name in ("metrics.db", "metrics.db-wal", "metrics.db-shm"):
        (tmp_path / name).write_text(name)
    with held(tmp_path / "checkpoints" / ".lock"):
        before = sorted(tmp_path.rglob("*"))
        claim.discard_unstarted(tmp_path)
        assert sorted(tmp_path.rglob("*")) == before
    claim.discard_unstarted(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_settings_are_named_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that a power cut leaves checkpoints that nobody can resume."""
    synced: list[Path] = []
    monkeypatch.setattr("velora.core.disk.sync_directory", synced.append)
    run_directory.save_settings(tmp_path / "run", OmegaConf.create({"a": 1}))
    assert synced == [tmp_path, tmp_path / "run"]
