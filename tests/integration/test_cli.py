"""The commands as a user types them, each in a process of its own, with tiny budgets and warnings as errors."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from velora.checkpoint import Checkpoint

ROOT = Path(__file__).parents[2]
TRAIN, EVALUATE = (str(ROOT / "scripts" / name) for name in ("train.py", "evaluate.py"))
VELORA = str(Path(sys.executable).with_name("velora"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
TINY = [
    "train.n_episodes=2",
    "train.batch_size=8",
    "train.evaluation_episodes=2",
    "train.progress_bar=false",
    "agent.warmup_steps=50",
    "checkpoint.frequency=1",
    "device=cpu",
]


def start(cwd: Path, script: str, *words: str) -> subprocess.Popen[str]:
    words = (script, *words) if script == VELORA else (sys.executable, script, *words)
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=cwd, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def run(cwd: Path, script: str, *words: str) -> str:
    process = start(cwd, script, *words)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def runs(cwd: Path) -> list[Path]:
    return sorted(cwd.glob("outputs/*/*"))


def episodes(run_dir: Path) -> list[tuple[int, float]]:
    with sqlite3.connect(run_dir / "metrics.db") as connection:
        return connection.execute("SELECT episode, reward FROM episode ORDER BY episode").fetchall()


def objective(out: str) -> str:
    return next(line for line in out.splitlines() if line.startswith("return"))


def test_train_evaluate_resume(tmp_path: Path) -> None:
    out = run(tmp_path, TRAIN, "agent=liquid_ddpg", "env=pendulum", "train.seed=0", "agent.n_neurons=5", *TINY)
    (run_dir,) = runs(tmp_path)
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} >= {"ep1", "ep2", "final", "model_config.json"}
    settings = OmegaConf.load(run_dir / "config.yaml")
    assert (settings.train.seed, settings.train.n_episodes, settings.env.id) == (0, 2, "Pendulum-v1")
    shown = run_dir.relative_to(tmp_path)
    assert f"velora evaluate checkpoint={shown}/checkpoints/final" in out
    assert f"velora train resume={shown} train.n_episodes=4" in out

    before = sorted(tmp_path.rglob("*"))
    evaluated = run(tmp_path, EVALUATE, f"checkpoint={shown}/checkpoints/final", "episodes=2")
    record = json.loads(evaluated.splitlines()[-1])
    assert len(record["returns"]) == 2
    assert f"{record['mean']:.1f}" in objective(out)
    assert record["mean"] == pytest.approx(sum(record["returns"]) / 2)
    assert sorted(tmp_path.rglob("*")) == before

    first = episodes(run_dir)
    resumed = run(tmp_path, TRAIN, f"resume={shown}", "train.n_episodes=3")
    assert "resume: train.n_episodes: 2 -> 3" in resumed
    assert runs(tmp_path) == [run_dir]
    assert episodes(run_dir)[:2] == first
    assert [number for number, _ in episodes(run_dir)] == [1, 2, 3]
    assert Checkpoint.open(run_dir / "checkpoints" / "final").metadata.progress.episode == 3
    assert OmegaConf.load(run_dir / "config.yaml").train.n_episodes == 3


def test_multirun_jobs_are_separate_and_leak_nothing(tmp_path: Path) -> None:
    words = [word for word in TINY if not word.startswith("train.n_episodes")]
    tiny = [*words, "train.n_episodes=1", "train.summary=false"]
    out = run(tmp_path, TRAIN, "-m", "train.seed=0,1", "agent.n_neurons=5,6", *tiny)
    (sweep,) = tmp_path.glob("multirun/*/*")
    for number, (seed, neurons) in enumerate([(0, 5), (0, 6), (1, 5), (1, 6)]):
        settings = OmegaConf.load(sweep / str(number) / "config.yaml")
        assert (settings.train.seed, settings.agent.n_neurons) == (seed, neurons)
    returns = [line for line in out.splitlines() if line.startswith("return")]
    assert len(set(returns)) == 4
    listed = [line for line in out.splitlines() if line.startswith("#3  train.seed=1 agent.n_neurons=6")]
    assert len(listed) == 1
    alone = run(tmp_path, TRAIN, "train.seed=1", "agent.n_neurons=6", *tiny)
    assert objective(alone) == returns[3]
    assert episodes(runs(tmp_path)[0]) == episodes(sweep / "3")


def test_early_stopping_and_tensorboard(tmp_path: Path) -> None:
    stop = ["callbacks=early_stopping", "callbacks.early_stopping.target=-2000", "train.window_size=1"]
    out = run(tmp_path, VELORA, "train", *stop, "logger=tensorboard", *TINY)
    (run_dir,) = runs(tmp_path)
    assert "ended     stopped: window mean" in out
    assert len(episodes(run_dir)) == 1
    assert list((run_dir / "tensorboard").glob("events.out.tfevents.*"))


def test_two_processes_at_once_do_not_collide(tmp_path: Path) -> None:
    processes = [start(tmp_path, VELORA, "train", "train.seed=3", *TINY) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    first, second = runs(tmp_path)
    assert episodes(first) == episodes(second)
    assert len(episodes(first)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, TRAIN, "train.seed=4", *TINY, "train.n_episodes=500")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/*/*/checkpoints/ep1")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    (run_dir,) = runs(tmp_path)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"interrupted; go on with: velora train resume={run_dir.relative_to(tmp_path)}" in out
    done = Checkpoint.open(run_dir / "checkpoints" / "interrupted").metadata.progress.episode
    run(tmp_path, TRAIN, f"resume={run_dir}", f"train.n_episodes={done + 1}")
    assert [number for number, _ in episodes(run_dir)] == list(range(1, done + 2))
