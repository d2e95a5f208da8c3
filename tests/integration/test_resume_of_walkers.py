"""Runs in environments of Box2D resume to the same bits, wherever they are cut."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.shared import QUIET
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.models import LiquidDDPG, LiquidPPO
from velora.utils import set_seed

TASKS = {
    "BipedalWalker-v3": (24, 4, False),
    "BipedalWalkerHardcore-v3": (24, 4, False),
    "LunarLander-v3": (8, 4, True),
    "LunarLanderContinuous-v3": (8, 2, False),
}


class Stop(Callback):
    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step >= self.at:
            trainer.stop("enough")


def train(task: str, home: Path, *, n_steps: int, at: int | None = None, resume: Path | None = None) -> None:
    state_dim, action_dim, discrete = TASKS[task]
    set_seed(3)
    agent: Any
    if discrete or task == "BipedalWalkerHardcore-v3":
        small: dict[str, Any] = {"n_envs": 2, "rollout_steps": 24, "n_epochs": 1, "discrete": discrete}
        agent = LiquidPPO(state_dim, 6, action_dim, seed=1, device="cpu", **small)
    else:
        agent = LiquidDDPG(state_dim, 6, action_dim, seed=1, device="cpu", warmup_steps=20, buffer_size=500)
    callbacks = [SaveCheckpoints(home, frequency=None), *([] if at is None else [Stop(at)])]
    made = gym.make(task, max_episode_steps=60)
    agent.train(made, 8, n_steps=n_steps, callbacks=callbacks, resume=resume, **QUIET)


@pytest.mark.parametrize(
    ("task", "cuts"),
    [
        ("BipedalWalker-v3", (37, 60, 61, 130, 199, 285)),
        ("BipedalWalkerHardcore-v3", (150, 260)),
        ("LunarLander-v3", (150, 260)),
        ("LunarLanderContinuous-v3", (130, 199)),
    ],
)
@pytest.mark.some(2)
def test_a_run_that_was_cut_goes_on_to_the_same_bits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, task: str, cuts: tuple[int, ...]
) -> None:
    def digests(home: Path) -> dict[str, str]:
        return {name: info.sha256 for name, info in Checkpoint.open(home / "final").metadata.files.items()}

    train(task, tmp_path / "whole", n_steps=300)
    for cut in cuts:
        home = tmp_path / f"cut{cut}"
        train(task, home, n_steps=300, at=cut)
        with caplog.at_level(logging.WARNING):
            train(task, home, n_steps=300, resume=home)
        assert digests(tmp_path / "whole") == digests(home), cut
    assert not [message for message in caplog.messages if "lived again" in message]
