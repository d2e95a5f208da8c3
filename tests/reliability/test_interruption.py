"""A run that is killed or told to stop, at any step, goes on to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shared import digests
from velora.checkpoint import Checkpoint

RUN = """
import os, signal, sys, time
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.utils import set_seed

set_seed(3)
env, state_dim, directory, at_step, signal_name, *resume = sys.argv[1:]


class Strike(Callback):
    def on_env_step(self, trainer, agent, transition):
        if trainer.step == int(at_step):
            time.sleep(0.5)  # what was begun to be saved before is on the disk
            os.kill(os.getpid(), getattr(signal, signal_name))


agent = LiquidDDPG(int(state_dim), 6, 1, warmup_steps=30, buffer_size=200, sequence_length=2, burn_in=1, device="cpu")
agent.train(env, 8, n_episodes=40, n_steps=150, window_size=3, run_dir=directory, summary=False,
            callbacks=[SaveCheckpoints(f"{directory}/checkpoints", frequency=5), Strike()],
            resume=resume[0] if resume else None)
"""


def run(
    env: str, state_dim: int, directory: Path, at_step: int, name: str, *resume: Path
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, env, str(state_dim), str(directory), str(at_step), name, *map(str, resume)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


CUTS = [
    ("Pendulum-v1", 3, 77, "SIGTERM"),
    pytest.param("InvertedPendulum-v5", 4, 101, "SIGHUP", marks=pytest.mark.slow),
]
MORE_CUTS = [
    pytest.param(env, dim, step, name, marks=pytest.mark.slow)
    for env, dim in (("Pendulum-v1", 3), ("InvertedPendulum-v5", 4))
    for step in (3, 29, 31, 64, 149)
    for name in ("SIGTERM", "SIGINT")
]


@pytest.mark.slow
@pytest.mark.parametrize(("env", "state_dim", "step", "name"), [*CUTS, *MORE_CUTS])
def test_a_signal_in_the_middle_of_an_episode_loses_nothing(
    tmp_path: Path, env: str, state_dim: int, step: int, name: str
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(env, state_dim, whole, -1, "SIGTERM").returncode == 0
    stopped = run(env, state_dim, cut, step, name)
    number = getattr(signal, name)
    assert stopped.returncode in (-number, 1 if name == "SIGINT" else -number), stopped.stderr
    interrupted = Checkpoint.open(cut / "checkpoints" / "interrupted")
    assert interrupted.metadata.progress.step == step
    assert not (cut / "checkpoints" / "final").exists()
    resumed = run(env, state_dim, cut, -1, "SIGTERM", cut / "checkpoints")
    assert resumed.returncode == 0, resumed.stderr
    assert digests(whole / "checkpoints" / "final") == digests(cut / "checkpoints" / "final")


@pytest.mark.parametrize(
    "step", [60, pytest.param(90, marks=pytest.mark.slow), pytest.param(148, marks=pytest.mark.slow)]
)
def test_kill_nine_costs_what_came_after_the_newest_checkpoint(tmp_path: Path, step: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run("InvertedPendulum-v5", 4, whole, -1, "SIGTERM")
    killed = run("InvertedPendulum-v5", 4, cut, step, "SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    resumed = run("InvertedPendulum-v5", 4, cut, -1, "SIGTERM", cut / "checkpoints")
    assert resumed.returncode == 0, resumed.stderr
    assert digests(whole / "checkpoints" / "final") == digests(cut / "checkpoints" / "final")


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    slow = RUN.replace(
        "if trainer.step == int(at_step):",
        "if trainer.step == 5:\n            print('ready', flush=True); time.sleep(60)\n        if False:",
    )
    command = [sys.executable, "-c", slow, "Pendulum-v1", "3", str(tmp_path), "5", "SIGTERM"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGTERM)
        time.sleep(0.5)
        assert child.poll() is None  # it waits for the step to end
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(timeout=10) == -signal.SIGTERM
