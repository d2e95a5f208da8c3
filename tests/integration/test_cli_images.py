"""Images on the command line: what follows from the environment, train, go on, evaluate, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.checkpoint import Checkpoint
from velora.models import LiquidDDPG

Command = Callable[..., Any]


class Blinking(gym.Env[Any, Any]):
    """Ten steps before a wall of lamps; the brighter it was asked to be, the better."""

    observation_space = gym.spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = 10
        return self._lamps(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        return self._lamps(), float(action[0]), False, self.left == 0, {"dt": 1.0}

    def _lamps(self) -> Any:
        return self.np_random.integers(0, 256, (8, 8, 1), dtype=np.uint8)


gym.register("velora_tests/Blinking-v0", lambda **kwargs: Blinking(**kwargs))
SMALL = (
    "env.id=velora_tests/Blinking-v0", "agent.n_neurons=6", "agent.warmup_steps=20", "agent.buffer_size=100",
    "train.batch_size=4", "device=cpu", "train.progress_bar=false", "train.seed=0",
)  # fmt: skip


@pytest.mark.slow
def test_train_go_on_and_evaluate(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = command("train", *SMALL, f"hydra.run.dir={run}", "train.n_steps=30", "env/flicker=half")
    assert done.code == 0, done.err
    on = command("train", f"resume={run}", "train.n_steps=40")
    assert on.code == 0, on.err
    final = run / "checkpoints" / "final"
    metadata = Checkpoint.open(final).metadata
    assert metadata.progress.step == 40
    seen = {name: metadata.settings[name] for name in ("state_dim", "image", "image_range")}
    assert seen == {"state_dim": 64, "image": [8, 8, 1], "image_range": None}
    evaluated = command("evaluate", f"checkpoint={run}", "episodes=2")
    assert evaluated.code == 0, evaluated.err
    assert len(json.loads(evaluated.out.splitlines()[-1])["returns"]) == 2
    agent = LiquidDDPG.load(final, buffer=True)
    assert agent.row_sizes(agent.state_size)["as_bytes"]
    assert agent.buffer.size(0) == 40


def test_the_settings_have_the_last_word(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = command("train", *SMALL, f"hydra.run.dir={run}", "train.n_steps=30", "agent.image=false", "agent.time=both")
    assert done.code == 0, done.err
    settings = Checkpoint.open(run / "checkpoints" / "final").metadata.settings
    assert (settings["image"], settings["state_dim"]) == (None, 64)


def test_pixels_among_other_numbers_are_spoken_of(command: Command, tmp_path: Path) -> None:
    for more, is_warned in (((), True), (("agent.image=false",), False)):
        wrapped = (*more, "env/previous=action_reward", "train.n_steps=25")
        done = command("train", *SMALL, f"hydra.run.dir={tmp_path / str(is_warned)}", *wrapped)
        assert done.code == 0, done.err
        assert ("what PreviousActionReward makes of images as plain numbers" in done.err + done.out) == is_warned


@pytest.mark.slow
def test_what_does_not_fit_is_one_line(command: Command) -> None:
    for words, message in (
        (("agent.image=[8,4,2]",), "observations are images of (8, 8, 1), the agent expects image=(8, 4, 2)"),
        (("agent.image=[8,8,3]",), "agent.image: (8, 8, 3) holds 192 numbers, expected state_dim=64"),
        (("agent.image=yes please",), "agent.image: expected a shape such as [64,64,3], or false, got 'yes please'"),
        (("agent.time=input",), "agent.time: an image has no place for the time"),
        (("agent.normalize_obs=true",), "agent.normalize_obs: an image is scaled by its range already"),
        (("device.kernel=numpy",), "kernel: 'numpy' has no convolutions"),
    ):
        done = command("train", *SMALL, *words)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert message in done.err
