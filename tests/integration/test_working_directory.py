"""The working directory may change while a run goes on; everything stays where it was meant to be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import LiquidDDPG


class Move(Callback):
    def __init__(self, hook: str, to: Path) -> None:
        self.hook, self.to = hook, to

    def setup(self, trainer: Any, agent: Any, stage: str) -> None:
        self._move("setup")

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        self._move("on_train_start")

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        self._move("on_episode_end")

    def _move(self, hook: str) -> None:
        if hook == self.hook:
            os.chdir(self.to)


@pytest.mark.parametrize("hook", ["env", "setup", "on_train_start", "on_episode_end"])
def test_a_run_and_its_resume_stay_in_their_directory(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, elsewhere = tmp_path / "start", tmp_path / "elsewhere"
    start.mkdir()
    elsewhere.mkdir()

    def make() -> gym.Env[Any, Any]:
        if hook == "env":
            os.chdir(elsewhere)
        return gym.make("Pendulum-v1", max_episode_steps=20)

    def run(n_episodes: int, resume: str | None = None) -> Any:
        monkeypatch.chdir(start)
        agent = LiquidDDPG(3, 5, 1, device="cpu", seed=0, warmup_steps=10)
        callbacks = [Move(hook, elsewhere), SaveCheckpoints("run/checkpoints", frequency=1)]
        own: dict[str, Any] = {"callbacks": callbacks, "run_dir": "run", "resume": resume, **QUIET}
        return agent.train(make, 4, n_episodes=n_episodes, evaluate_every=1, evaluation_episodes=1, **own)

    assert run(2).run_dir == start / "run"
    run(3, resume="run")
    names = {path.name for path in (start / "run" / "checkpoints").iterdir() if not path.name.startswith(".")}
    assert {"ep1", "ep2", "ep3", "final"} <= names
    assert (start / "run" / "metrics.db").is_file()
    assert list(elsewhere.iterdir()) == []


MOVING = """
import os
from velora.callbacks import Callback
import gymnasium as gym

class Move(Callback):
    def on_train_start(self, trainer, agent):
        os.makedirs("deep/down", exist_ok=True)
        os.chdir("deep/down")

class Moving(gym.Wrapper):
    def __init__(self, env):
        super().__init__(env)
        os.makedirs("below", exist_ok=True)
        os.chdir("below")

def make(**kwargs):
    return Moving(gym.make("Pendulum-v1", max_episode_steps=15))

gym.register("Moving-v0", entry_point=make)
"""


def test_the_command_line_names_and_finds_a_run_from_where_it_began(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "moving.py").write_text(MOVING)
    words = ["agent.n_neurons=4", "train.n_episodes=1", "agent.warmup_steps=5", "hydra.run.dir=out/one", "device=cpu"]
    trained = command("train", "env.id=moving:Moving-v0", "+callbacks.move._target_=moving.Move", *words)
    assert trained.code == 0, trained.err
    assert "run       out/one\n" in trained.out
    assert "checkpoint=out/one/checkpoints/final" in trained.out
    assert (tmp_path / "out" / "one" / "checkpoints" / "final").is_dir()
    os.chdir(tmp_path)
    played = command("evaluate", "checkpoint=out/one", "env.id=moving:Moving-v0", "episodes=2")
    assert played.code == 0, played.err
    assert "checkpoint    out/one/checkpoints/final\n" in played.out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't remove a directory that is in use")
def test_a_working_directory_that_is_gone_stops_no_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    agent = LiquidDDPG(3, 5, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    saves, env = SaveCheckpoints(tmp_path / "run/checkpoints"), gym.make("Pendulum-v1", max_episode_steps=5)
    assert agent.train(env, 4, n_episodes=2, callbacks=[saves], run_dir=tmp_path / "run", **QUIET).status == "finished"
    assert LiquidDDPG.load(tmp_path / "run/checkpoints/final").progress[0].episode == 2
