"""``velora evaluate`` plays in the environment of training, or says what is missing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.callbacks import Callback
from velora.models import LiquidDDPG

Command = Callable[..., Any]


def record(outcome: Any) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    return dict(json.loads(outcome.out.splitlines()[-1]))


class Evaluate(Callback):
    returns: tuple[float, ...] = ()

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        self.returns = trainer.evaluate()[0].returns


def trained(env: Any, path: Path, state_dim: int = 3) -> tuple[float, ...]:
    """Train, save, and return what training's own evaluation found."""
    agent, found = LiquidDDPG(state_dim, 3, 1, warmup_steps=30, seed=0, device="cpu"), Evaluate()
    agent.train(env, 4, n_episodes=3, evaluation_episodes=2, callbacks=[found], progress_bar=False, summary=False)
    agent.save(path)
    return found.returns


def pendulum(**kwargs: Any) -> Any:
    return gym.make("Pendulum-v1", **{"max_episode_steps": 20, **kwargs})


STACKS: dict[str, tuple[Any, int]] = {
    "a time limit": (pendulum, 3),
    "no time limit of its own": (lambda: gym.wrappers.TimeLimit(pendulum(max_episode_steps=-1), 15), 3),
    "a keyword": (lambda: pendulum(g=np.float32(3.0)), 3),
    "rescaled": (
        lambda: gym.wrappers.RescaleObservation(
            pendulum(), np.array([-3, -2, -9], np.float32), np.array([3, 2, 9], np.float32)
        ),
        3,
    ),
    "stacked": (lambda: gym.wrappers.FrameStackObservation(pendulum(), 2), 6),
    "with statistics": (lambda: gym.wrappers.NormalizeReward(gym.wrappers.NormalizeObservation(pendulum())), 3),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.some(2)
def test_a_checkpoint_is_evaluated_as_it_was_trained(command: Command, tmp_path: Path, name: str) -> None:
    make, state_dim = STACKS[name]
    expected = trained(make(), tmp_path / "ep1", state_dim)
    found = record(command("evaluate", f"checkpoint={tmp_path / 'ep1'}", "episodes=2"))
    np.testing.assert_allclose(found["returns"], expected, rtol=1e-5)


class Mine(gym.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> Any:
        return 911.0 - reward


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (
            lambda: gym.wrappers.TransformReward(pendulum(), lambda reward: -float(reward)),
            "the wrapper TransformReward ",
        ),
        (lambda: Mine(pendulum()), "the wrapper Mine "),
        (lambda: gym.make("velora_cli/Table-v0", table=object()), "its keyword table (a object)"),
    ],
)
def test_what_a_checkpoint_does_not_hold_is_asked_for(
    command: Command, tmp_path: Path, make: Any, missing: str
) -> None:
    from gymnasium.envs.classic_control import PendulumEnv

    class Table(PendulumEnv):
        def __init__(self, table: Any = None) -> None:
            super().__init__()

    gym.register("velora_cli/Table-v0", lambda **kw: Table(**kw), max_episode_steps=20)
    try:
        env = make()
        env_id = env.unwrapped.spec.id
        trained(env, tmp_path / "ep1")
        words = ("evaluate", f"checkpoint={tmp_path / 'ep1'}", "episodes=2")
        code, out, err = command(*words)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert missing in err
        assert f"or play without it: env.id={env_id}" in err
        assert len(record(command(*words, f"env.id={env_id}"))["returns"]) == 2
    finally:
        del gym.registry["velora_cli/Table-v0"]


def test_naming_the_environment_of_training_keeps_how_it_was_made(command: Command, tmp_path: Path) -> None:
    trained(pendulum(g=3.0), tmp_path / "ep1")
    words = ("evaluate", f"checkpoint={tmp_path / 'ep1'}", "episodes=2")
    as_trained = record(command(*words))
    assert record(command(*words, "env.id=Pendulum-v1")) == as_trained
    longer = record(command(*words, "+env.kwargs.max_episode_steps=40"))
    assert longer["mean"] < as_trained["mean"]


def test_a_time_limit_of_the_command_line_is_kept(command: Command, tmp_path: Path) -> None:
    words = ["+env.kwargs.max_episode_steps=12", "train.n_episodes=2", "agent.warmup_steps=10", "train.seed=1"]
    outcome = command("train", *words, f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    found = record(command("evaluate", f"checkpoint={tmp_path / 'run'}", "episodes=3"))
    assert min(found["returns"]) > -12 * 16.3  # Pendulum costs at most 16.27 a step
    longer = ("episodes=3", "+env.kwargs.max_episode_steps=200")
    assert record(command("evaluate", f"checkpoint={tmp_path / 'run'}", *longer))["mean"] < found["mean"]


@pytest.mark.parametrize(
    "words", [["env.delay.observations=2"], ["env.delay.actions=2"], ["env.delay.observations=[0,3]"]]
)
def test_either_delay_can_be_given_alone(command: Command, tmp_path: Path, words: list[str]) -> None:
    budget = ["train.n_episodes=1", "agent.warmup_steps=300", "train.seed=1", "train.evaluation_episodes=1"]
    outcome = command("train", *words, *budget, f"hydra.run.dir={tmp_path / 'run'}")
    assert outcome.code == 0, outcome.err
    metadata = json.loads((tmp_path / "run" / "checkpoints" / "final" / "metadata.json").read_text())
    (wrapper,) = metadata["environment"]["wrappers"]
    assert wrapper["name"] == "Delay"
    assert wrapper["kwargs"] != {"actions": 0, "observations": 0}
