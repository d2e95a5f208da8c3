"""Ctrl+C and SIGUSR1 before a run has begun: at chosen imports, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")

SCRIPT = """
import signal, sys
from velora.cli.main import main

MODULE, SIGNAL, *WORDS = sys.argv[1:]  # Hydra is shown another list
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background


class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            sys.meta_path.remove(self)
            signal.raise_signal(getattr(signal, SIGNAL))


sys.meta_path.insert(0, Strike())
sys.exit(main(WORDS))
"""
TRAIN = ("train", "train.n_episodes=1", "train.batch_size=8", "train.evaluation_episodes=1", "device=cpu")
QUIET = ("train.progress_bar=false", "train.summary=false", "agent.warmup_steps=150", "agent.n_neurons=5")


def run(cwd: Path, module: str, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, module, name, *words]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False, env=quiet)


OFTEN, SELDOM = ("hydra", "velora.training.trainer"), ("omegaconf.dictconfig", "torch", "velora.models")
MODULES = [*OFTEN, *(pytest.param(module, marks=pytest.mark.slow) for module in SELDOM)]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.some(1)
def test_ctrl_c_before_the_first_step_is_one_line(tmp_path: Path, module: str) -> None:
    done = run(tmp_path, module, "SIGINT", *TRAIN, *QUIET)
    told = "velora train: interrupted before the first step; nothing was saved\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", told)
    assert list(tmp_path.glob("outputs/*/*/[cm]*")) == []  # no settings, no metrics, no checkpoints


def test_ctrl_c_in_another_command_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "torch", "SIGINT", "evaluate", "checkpoint=nowhere")
    assert (done.returncode, done.stderr) == (130, "velora evaluate: interrupted\n")


@pytest.mark.slow
def test_a_request_to_save_before_there_is_anything_to_save_ends_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "torch", "SIGUSR1", *TRAIN, *QUIET)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/*/*/checkpoints/final"))) == 1


@pytest.mark.slow
def test_a_run_that_sigterm_ended_is_not_reported_as_whole_under_a_foreign_handler(tmp_path: Path) -> None:
    """A job queue may have a handler that does nothing, so that the signal saves the run and ends no process."""
    (tmp_path / "struck.py").write_text(
        "import signal\n"
        "from velora.callbacks import Callback\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "class Strike(Callback):\n"
        "    def on_env_step(self, trainer, agent, transition):\n"
        "        if trainer.step == 20:\n"
        "            signal.raise_signal(signal.SIGTERM)\n"
    )
    done = run(tmp_path, "nothing", "SIGINT", *TRAIN, *QUIET, "+callbacks.mine._target_=struck.Strike")
    assert done.returncode == 130, done.stderr
    assert done.stdout.startswith("interrupted; go on with: velora train resume=outputs/")
    assert done.stderr.splitlines()[-1] == "velora train: interrupted"
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("outputs/*/*/checkpoints/interrupted"))) == 1


def test_ctrl_c_when_the_run_has_begun_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "struck.py").write_text(
        "import signal\n"
        "from velora.callbacks import Callback\n"
        "class Strike(Callback):\n"
        "    def on_env_step(self, trainer, agent, transition):\n"
        "        if trainer.step == 20:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
    )
    done = run(tmp_path, "nothing", "SIGINT", *TRAIN, *QUIET, "+callbacks.mine._target_=struck.Strike")
    assert done.returncode == 130
    assert done.stdout.startswith("interrupted; go on with: velora train resume=outputs/")
    lines = done.stderr.splitlines()
    assert "received SIGINT: the run is saved after this step, and ends" in lines[0]
    assert lines[-1] == "velora train: interrupted"
    assert "Traceback" not in done.stderr
    assert len(list(tmp_path.glob("outputs/*/*/checkpoints/interrupted"))) == 1
