"""The commands as a user types them; in few processes of their own, since each has to load torch."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from omegaconf import OmegaConf

from velora.checkpoint import Checkpoint
from velora.metrics import queries

ROOT = Path(__file__).parents[2]
TRAIN, EVALUATE = ([sys.executable, str(ROOT / "scripts" / name)] for name in ("train.py", "evaluate.py"))
VELORA = [str(Path(sys.executable).with_name("velora"))]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
TINY = [
    "train.n_episodes=2",
    "train.batch_size=8",
    "train.evaluation_episodes=2",
    "train.progress_bar=false",
    "agent.warmup_steps=350",
    "checkpoint.frequency=1",
    "device=cpu",
]
ONE_EPISODE = ["train.n_episodes=1", "agent.warmup_steps=150"]

Command = Callable[..., Any]


class Finished(NamedTuple):
    """Two runs that were made at once, in one directory, with the same settings."""

    cwd: Path
    runs: list[Path]
    outputs: list[str]


def start(cwd: Path, *words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=cwd, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Train twice at once: by the script and by the installed command."""
    cwd = tmp_path_factory.mktemp("finished")
    words = ["agent=liquid_ddpg", "env=pendulum", "train.seed=0", "agent.n_neurons=5", *TINY]
    processes = [start(cwd, *TRAIN, *words), start(cwd, *VELORA, "train", *words)]
    outputs = [finish(process) for process in processes]
    return Finished(cwd, [cwd / printed("run", out)[0] for out in outputs], outputs)


def printed(name: str, out: str) -> list[str]:
    """Return the words of the line that begins with ``name``."""
    line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
    return shlex.split(line.removeprefix(name))


def episodes(run_dir: Path) -> list[tuple[int, float]]:
    return [(row.episode, row.reward) for row in queries.episodes(run_dir)]


@pytest.mark.slow
def test_two_processes_at_once_do_not_collide(finished: Finished) -> None:
    first, second = finished.runs
    assert first != second
    assert sorted(finished.cwd.glob("outputs/*/*")) == sorted(finished.runs)
    assert episodes(first) == episodes(second)
    assert len(episodes(first)) == 2
    assert printed("return", finished.outputs[0]) == printed("return", finished.outputs[1])


def test_a_run_leaves_its_settings_and_checkpoints(finished: Finished) -> None:
    run_dir = finished.runs[0]
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} >= {"ep1", "ep2", "final", "model_config.json"}
    settings = OmegaConf.load(run_dir / "config.yaml")
    assert (settings.train.seed, settings.train.n_episodes, settings.env.id) == (0, 2, "Pendulum-v1")
    assert printed("trained", finished.outputs[0]) == ["2", "episodes,", "400", "steps"]


def test_a_run_is_evaluated_as_it_says_and_by_its_directory(
    finished: Finished, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = finished.runs[0].relative_to(finished.cwd)
    before = sorted(finished.cwd.rglob("*"))
    _, *words = printed("evaluate", finished.outputs[0])
    assert words == ["evaluate", f"checkpoint={shown}/checkpoints/final"]
    record = json.loads(finish(start(finished.cwd, *EVALUATE, *words[1:], "episodes=2")).splitlines()[-1])
    assert len(record["returns"]) == 2
    assert record["mean"] == pytest.approx(sum(record["returns"]) / 2)
    assert printed("return", finished.outputs[0])[0] == f"{record['mean']:.1f}"
    monkeypatch.chdir(finished.cwd)
    outcome = command("evaluate", f"checkpoint={shown}", "episodes=2")
    assert outcome.out.splitlines()[0] == f"checkpoint    {shown}/checkpoints/final"
    assert json.loads(outcome.out.splitlines()[-1]) == record
    assert sorted(finished.cwd.rglob("*")) == before


def test_a_run_goes_on_by_the_command_it_prints(
    finished: Finished, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = finished.runs[1]
    _, *words = printed("go on", finished.outputs[1])
    assert words == ["train", f"resume={run_dir.relative_to(finished.cwd)}", "train.n_episodes=4"]
    monkeypatch.chdir(finished.cwd)
    first = episodes(run_dir)
    outcome = command(*words)
    assert "resume: train.n_episodes: 2 -> 4" in outcome.out
    assert sorted(finished.cwd.glob("outputs/*/*")) == sorted(finished.runs)
    assert episodes(run_dir)[:2] == first
    assert [number for number, _ in episodes(run_dir)] == [1, 2, 3, 4]
    assert Checkpoint.open(run_dir / "checkpoints" / "final").metadata.progress.episode == 4
    assert OmegaConf.load(run_dir / "config.yaml").train.n_episodes == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, command: Command, number: signal.Signals, code: int
) -> None:
    process = start(tmp_path, *TRAIN, "train.seed=4", *TINY, "train.n_episodes=500")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/*/*/checkpoints/ep1")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    (run_dir,) = tmp_path.glob("outputs/*/*")
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"interrupted; go on with: velora train resume={run_dir.relative_to(tmp_path)}\n" in out
    done = Checkpoint.open(run_dir / "checkpoints" / "interrupted").metadata.progress.episode
    assert command("train", f"resume={run_dir}", f"train.n_episodes={done + 1}").code == 0
    assert [number for number, _ in episodes(run_dir)] == list(range(1, done + 2))


@pytest.mark.slow
def test_multirun_jobs_are_separate_and_leak_nothing(tmp_path: Path, command: Command) -> None:
    tiny = [*TINY, *ONE_EPISODE, "train.summary=false"]
    outcome = command("train", "-m", "sweep=basic", "train.seed=0,1", "agent.n_neurons=5,6", *tiny)
    (sweep,) = tmp_path.glob("multirun/*/*")
    jobs = {}
    for seed, neurons in [(0, 5), (0, 6), (1, 5), (1, 6)]:
        (jobs[seed, neurons],) = sweep.glob(f"n-neurons-{neurons}_seed-{seed}_*")
        settings = OmegaConf.load(jobs[seed, neurons] / "config.yaml")
        assert (settings.train.seed, settings.agent.n_neurons) == (seed, neurons)
    returns = [line for line in outcome.out.splitlines() if line.startswith("return  ")]
    assert len(set(returns)) == 4
    alone = command("train", "train.seed=1", "agent.n_neurons=6", *tiny)
    assert returns[3] in alone.out
    assert episodes(tmp_path / printed("run", alone.out)[0]) == episodes(jobs[1, 6])


def test_early_stopping_and_tensorboard(tmp_path: Path, command: Command) -> None:
    stop = ["callbacks=early_stopping", "callbacks.early_stopping.target=-2000", "train.window_size=1"]
    outcome = command("train", *TINY, "agent.warmup_steps=150", *stop, "logger=tensorboard")
    run_dir = tmp_path / printed("run", outcome.out)[0]
    assert "ended     stopped: window mean" in outcome.out
    assert len(episodes(run_dir)) == 1
    assert list((run_dir / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.slow
def test_one_budget_on_the_command_line_counts_alone(command: Command) -> None:
    tiny = [word for word in TINY if "n_episodes" not in word]
    short = ["env=inverted_pendulum", "env.recommended.n_steps=30", "train.summary=false", "checkpoint=none"]
    assert "trained   4 episodes, " in command("train", *tiny, *short, "train.n_episodes=4", "train.seed=0").out
    assert ", 30 steps" in command("train", *tiny, *short).out
    assert ", 45 steps" in command("train", *tiny, *short, "env.recommended.n_episodes=1", "train.n_steps=45").out
