"""Every logger by what it wrote: settings, steps, a run in one piece after a resume, videos, checkpoints, sweeps."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from PIL import Image

from tests.integration.conftest import Command
from tests.shared import QUIET, digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.training import TrainResult

ROOT = Path(__file__).parents[2]
RETURN = "episode/return"
STEPS = [5, 10, 15, 20, 25]
"""Of the ends of five episodes."""
Points = list[tuple[int, float]]


def needs(package: str, extra: str) -> pytest.MarkDecorator:
    reason = f"needs {package}: make integrations, or pip install -e '.[{extra}]'"
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=reason)


class Show(Callback):
    """Log a figure and a video at the end of the first episode."""

    def __init__(self, directory: Path) -> None:
        self.video, self.image = directory / "swing.webp", directory / "plot.png"
        frames = [Image.new("RGB", (64, 48), (0, 0, 50 * k)) for k in range(4)]
        frames[0].save(self.video, save_all=True, append_images=frames[1:], duration=40)
        frames[3].save(self.image)

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if episode.number == 1:
            trainer.log_video(self.video, name="swing")
            trainer.log_figure(self.image, 7, name="plot")


def train(
    run: Path, logger: Any, *, n_episodes: int = 3, seeds: Any = None, more: Any = (), **settings: Any
) -> TrainResult:
    own: dict[str, Any] = {"seed": 1} if seeds is None else {"seeds": seeds}
    agent = LiquidDDPG(3, 6, 1, device="cpu", warmup_steps=4, buffer_size=50, **own)
    env = gym.make("Pendulum-v1", max_episode_steps=5)
    saver = SaveCheckpoints(run / "checkpoints", frequency=2)
    own = {"n_episodes": n_episodes, "log_every": 2, "run_dir": run, "logger": logger, **QUIET, **settings}
    return agent.train(env, 4, callbacks=[*more, saver], **own)


def train_in_two_parts(run: Path, logger: Any, *more: Any, **settings: Any) -> Points:
    """Train three episodes, and go on from the checkpoint after the second up to the fifth: the third is done twice.

    Returns:
        Step and return at the end of each episode of the first seed, as the run store has them.
    """
    assert train(run, logger, more=more, **settings).status == "finished"
    for final in (run / "checkpoints").rglob("final"):
        shutil.rmtree(final)
    assert train(run, logger, n_episodes=5, more=more, resume=run / "checkpoints", **settings).status == "finished"
    points = episodes(run)
    assert [step for step, _ in points] == STEPS
    return points


def episodes(run: Path, seed: int | None = None) -> Points:
    with contextlib.closing(sqlite3.connect(run / "metrics.db")) as store:
        words = "SELECT step, reward FROM episode WHERE seed = coalesce(?, (SELECT min(seed) FROM episode)) ORDER BY 1"
        return store.execute(words, (seed,)).fetchall()


# ------------------------------------------------------------------------------------------------------- CSV


def table(run: Path) -> list[dict[str, str]]:
    with (run / "csv" / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_csv_goes_on_where_the_run_does(tmp_path: Path) -> None:
    points = train_in_two_parts(tmp_path / "run", "csv")
    rows = table(tmp_path / "run")
    assert [(int(row["step"]), float(row[RETURN])) for row in rows if RETURN in row] == points
    assert max(Counter((row["step"], *row) for row in rows).values()) == 1
    hparams = (tmp_path / "run" / "csv" / "hparams.yaml").read_text()
    assert "n_neurons: 6" in hparams
    assert "id: Pendulum-v1" in hparams


def test_several_seeds_go_on_each(tmp_path: Path) -> None:
    train_in_two_parts(tmp_path / "run", "csv", seeds=[3, 5])
    rows = table(tmp_path / "run")
    for seed in (3, 5):
        name = f"seed{seed}/{RETURN}"
        assert [(int(row["step"]), float(row[name])) for row in rows if name in row] == episodes(tmp_path / "run", seed)


def test_without_a_run_directory_files_go_to_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    agent.train(gym.make("Pendulum-v1", max_episode_steps=5), 4, n_episodes=1, logger=True, **QUIET)
    (path,) = tmp_path.glob("logs/*/csv/metrics.csv")
    assert RETURN in path.read_text()


def test_loggers_change_no_bits(tmp_path: Path) -> None:
    train(tmp_path / "without", None)
    train(tmp_path / "with", ["csv", "tensorboard"], more=[Show(tmp_path)])
    weights = [digests(tmp_path / run / "checkpoints" / "final") for run in ("without", "with")]
    for part in ("model", "optim", "buffer"):
        assert weights[0][f"{part}_state.safetensors"] == weights[1][f"{part}_state.safetensors"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_logger_files import train
from velora.callbacks import Callback

class Die(Callback):
    def on_episode_end(self, trainer, agent, episode):
        if episode.number == 13:
            os.kill(os.getpid(), signal.SIGKILL)

train(Path("run"), ["csv", "tensorboard"], n_episodes=20, more=[Die()])
"""


@pytest.mark.slow
def test_a_kill_loses_no_row(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=env, timeout=200, check=False)
    assert done.returncode == -signal.SIGKILL
    steps = [5 * episode for episode in range(1, 14)]
    assert [int(row["step"]) for row in table(tmp_path / "run") if RETURN in row] == steps
    assert [event.step for event in events(tmp_path / "run").Scalars(RETURN)] == steps


# ----------------------------------------------------------------------------------------------- TensorBoard


def events(run: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def test_tensorboard_has_no_step_twice(tmp_path: Path) -> None:
    points = train_in_two_parts(tmp_path / "run", "tensorboard", Show(tmp_path))
    found = events(tmp_path / "run")
    scalars = found.Scalars(RETURN)
    assert [event.step for event in scalars] == STEPS
    assert [event.value for event in scalars] == pytest.approx([value for _, value in points])
    for tag in found.Tags()["scalars"]:
        assert max(Counter(event.step for event in found.Scalars(tag)).values()) == 1, tag
    (video,) = found.Images("swing")
    assert (video.step, video.width, video.height, video.encoded_image_string[:6]) == (5, 64, 48, b"GIF89a")
    (image,) = found.Images("plot")
    assert (image.step, image.encoded_image_string[1:4]) == (7, b"PNG")
    assert b"agent/n_neurons" in found.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert "n_neurons: 6" in (tmp_path / "run" / "tensorboard" / "hparams.yaml").read_text()


# ------------------------------------------------------------------------------------------------------- W&B


def wandb_records(folder: Path) -> list[Any]:
    """Read the records of a .wandb file: a header of 7 bytes, then blocks of 32 KiB with records in pieces."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    data, place, whole, found = path.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        if kind == 0:
            break
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the only piece, or the last
            record = Record()
            record.ParseFromString(whole)
            found.append(record)
            whole = b""
    return found


def wandb_history(records: list[Any]) -> list[dict[str, Any]]:
    rows = []
    for record in records:
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


@pytest.fixture
def wandb_is_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CACHE_DIR", "DATA_DIR", "CONFIG_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / "wandb-home"))


@needs("wandb", "wandb")
@pytest.mark.usefixtures("wandb_is_apart")
def test_wandb_offline(tmp_path: Path) -> None:
    import wandb

    logger = {"wandb": {"offline": True, "project": "mine", "tags": ["a"], "log_model": True}}
    points = train_in_two_parts(tmp_path / "run", logger, Show(tmp_path))
    assert wandb.run is None
    folders = sorted((tmp_path / "run" / "wandb").glob("offline-run-*"))
    parts = [wandb_records(folder) for folder in folders]
    assert len(parts) == 2
    runs = [next(record.run for record in part if record.HasField("run")) for part in parts]
    assert runs[0].run_id == runs[1].run_id
    assert (runs[0].project, runs[0].display_name, list(runs[0].tags)) == ("mine", "run", ["a"])
    done = [
        [(row["trainer/global_step"], row[RETURN]) for row in wandb_history(part) if RETURN in row] for part in parts
    ]
    assert done == [points[:3], points[2:]]  # the third once more
    configs = [update for record in parts[0] if record.HasField("config") for update in record.config.update]
    assert {"n_neurons": 6}.items() <= next(
        json.loads(update.value_json) for update in configs if update.key == "agent"
    ).items()
    media = {path.suffix for path in (folders[0] / "files" / "media").rglob("*.*")}
    assert media == {".gif", ".png"}
    assert [record.exit.exit_code for record in parts[0] if record.HasField("exit")] == [0]
    artifacts = [record.request.log_artifact.artifact.name for record in parts[0] if record.HasField("request")]
    artifacts += [record.artifact.name for record in parts[0] if record.HasField("artifact")]
    assert [name for name in artifacts if name] == [f"{runs[0].run_id}-final"]


@pytest.mark.slow
@needs("wandb", "wandb")
@pytest.mark.usefixtures("wandb_is_apart")
def test_the_jobs_of_a_sweep_are_runs_of_wandb_in_one_group(tmp_path: Path, command: Command) -> None:
    words = ["env=pendulum", "train.n_episodes=1", "agent.n_neurons=6,8", "agent.warmup_steps=300", "train.seed=0"]
    quiet = ["train.evaluation_episodes=1", "checkpoint=none", "train.progress_bar=false", "train.summary=false"]
    loggers = ["logger=[csv,wandb]", "logger.wandb.offline=true", "hydra.sweep.dir=mysweep"]
    assert command("train", "-m", *words, *quiet, *loggers).code == 0
    runs = []
    for folder in sorted(tmp_path.glob("mysweep/*/wandb/offline-run-*")):
        records = wandb_records(folder)
        (run,) = [record.run for record in records if record.HasField("run")][:1]
        assert len([row for row in wandb_history(records) if RETURN in row]) == 1
        configs = [update for record in records if record.HasField("config") for update in record.config.update]
        agent = next(json.loads(update.value_json) for update in configs if update.key == "agent")
        assert not {"logger", "resume"} & {update.key for update in configs}
        assert run.display_name == folder.parents[1].name
        runs.append((run.run_group, agent["n_neurons"]))
    assert sorted(runs) == [("mysweep", 6), ("mysweep", 8)]


# ----------------------------------------------------------------------------------------------------- Comet


@needs("comet_ml", "comet")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # Comet's
def test_comet_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_START_ONLINE", "0")
    points = train_in_two_parts(tmp_path / "run", {"comet": {"project": "mine", "log_model": True}}, Show(tmp_path))
    parts = sorted((tmp_path / "run" / "comet").glob("*.zip"), key=lambda path: path.stat().st_mtime)
    assert len(parts) == 2
    keys: list[str] = []
    done: list[Points] = []
    sent: list[dict[str, int]] = []
    for path in parts:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("experiment.json"))
            messages = [json.loads(line) for line in archive.read("messages.json").decode().splitlines()]
        keys.append(about["offline_id"])
        assert about["project_name"] == "mine"
        metrics = [message["payload"]["metric"] for message in messages if message["type"] == "metric_msg"]
        done.append([(m["step"], m["metricValue"]) for m in metrics if m["metricName"] == RETURN])
        params = str([message for message in messages if message["type"] == "parameter_msg"])
        assert "n_neurons" in params
        files = [message["payload"]["additional_params"] for message in messages if message["type"] == "file_upload"]
        sent.append({file.get("fileName") or file.get("figName"): file["step"] for file in files})
    assert keys[0] == keys[1]
    assert done == [points[:3], points[2:]]  # the third once more
    assert (sent[0]["swing-step5.gif"], sent[0]["plot"]) == (5, 7)
    assert all(f"final/{part}_state.safetensors" in files for files in sent for part in ("model", "optim", "buffer"))
