"""A seed that meets a number that isn't finite is stopped and named, and not saved; the others go on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import QUIET
from velora import kernels
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import NonFiniteError
from velora.core.types import Episode
from velora.models import Agent, LiquidDDPG, LiquidPPO

KERNEL = "native" if kernels.extension else "numpy"


class Odd(gym.Wrapper[Any, Any, Any, Any]):
    """Pendulum that says something odd at one of its steps, counted over all episodes, or at one of its resets."""

    def __init__(self, at: int | None = None, reset_at: int | None = None, **said: Any) -> None:
        super().__init__(gym.make("Pendulum-v1", max_episode_steps=20))
        self.at, self.reset_at, self.said, self.n_steps, self.n_resets = at, reset_at, said, 0, 0

    def reset(self, **how: Any) -> Any:
        obs, info = super().reset(**how)
        self.n_resets += 1
        return (obs * self.said["obs"] if self.n_resets == self.reset_at else obs), info

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        self.n_steps += 1
        if self.n_steps == self.at:
            return obs * self.said.get("obs", 1.0), self.said.get("reward", reward), *rest
        return obs, reward, *rest


class Makes:
    """Make an environment for each seed, the odd ones among them; those of evaluation come after."""

    def __init__(self, **odd: dict[str, Any]) -> None:
        self.odd, self.n_made = {int(k.removeprefix("number")): v for k, v in odd.items()}, 0

    def __call__(self) -> gym.Env[Any, Any]:
        self.n_made += 1
        return Odd(**self.odd.get(self.n_made, {}))


def ddpg(*seeds: int) -> LiquidDDPG:
    small: dict[str, Any] = {"warmup_steps": 10, "buffer_size": 100, "critic_units": (8, 8), "device": "cpu"}
    return LiquidDDPG(3, 4, 1, seeds=seeds, kernel=KERNEL, **small)


def weights(agent: Agent, k: int) -> torch.Tensor:
    return torch.cat([flat.values[k] for flat in agent.learner.flats.values()])


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (
            {"at": 35, "reward": 1e39},
            r"after 34 steps: environment 1: step gave .* and the reward 1e\+39; expected num",
        ),
        (
            {"at": 35, "reward": -3.5e38},
            r"after 34 steps: environment 1: step gave .* and the reward -3.5e\+38; expected",
        ),
        ({"at": 35, "reward": float("nan")}, "after 34 steps: environment 1: step gave .* and the reward nan"),
        ({"at": 35, "obs": np.inf}, r"after 34 steps: environment 1: step gave the observation \[.*inf"),
        (
            {"reset_at": 3, "obs": np.nan},
            r"after 40 steps: environment 1: reset\(seed=\d+\) gave the observation \[nan",
        ),
    ],
)
def test_an_environment_of_one_seed_stops_that_seed(
    odd: dict[str, Any], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saving = SaveCheckpoints(tmp_path, frequency=1)
    agent, alone = ddpg(4, 9, 5), ddpg(5)
    with caplog.at_level(logging.WARNING):
        result = agent.train(Makes(number2=odd), 4, n_episodes=4, evaluate_every=2, callbacks=[saving], **QUIET)
    alone.train(Makes(), 4, n_episodes=4, **QUIET)
    assert result.status == "finished"
    assert result.lost == [1]
    assert result.stop_reasons[0] is None
    assert result.stop_reasons[2] is None
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(result.stop_reasons[1])
    assert result.stop_reason == f"seed 9: {result.stop_reasons[1]}"
    warned = [r.message for r in caplog.records if r.name == "velora.training.lost_seeds"]
    assert warned == [f"seed 9: {result.stop_reasons[1]}; it is stopped, the others go on"]
    if KERNEL == "native":
        assert torch.equal(weights(agent, 2), weights(alone, 0))
    assert agent.progress[2] == alone.progress[0]
    assert {p.name for p in (tmp_path / "seed5").iterdir() if p.is_dir()} == {
        "best",
        "ep1",
        "ep2",
        "ep3",
        "ep4",
        "final",
    }
    kept = {p.name for p in (tmp_path / "seed9").iterdir() if p.is_dir()}
    assert kept == ({"ep1"} if "at" in odd else {"best", "ep1", "ep2"})
    assert all(Checkpoint.open(tmp_path / "seed9" / name) for name in kept)


def test_the_largest_number_of_float32_is_one() -> None:
    env = Odd(at=5, reward=float(np.finfo(np.float32).max))
    env.reset(seed=0)
    ddpg(0).train(env, 4, n_steps=8, **QUIET)


def test_a_run_of_one_seed_ends_with_the_error(tmp_path: Path) -> None:
    saving = SaveCheckpoints(tmp_path, frequency=1)
    with pytest.raises(
        NonFiniteError, match=r"^seed 9: after 34 steps: environment 0: step gave .* reward inf"
    ) as caught:
        ddpg(9).train(Makes(number1={"at": 35, "reward": np.inf}), 4, n_episodes=4, callbacks=[saving], **QUIET)
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"ep1"}


def test_a_run_whose_seeds_are_all_lost_ends_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    odd = {"number1": {"at": 30, "reward": np.nan}, "number2": {"at": 35, "reward": np.nan}}
    with pytest.raises(NonFiniteError, match=r"^seed 4: after 29 steps: .*; seed 9: after 34 steps: "):
        ddpg(4, 9).train(Makes(**odd), 4, n_episodes=4, **QUIET)
    assert sum("the others go on" in record.message for record in caplog.records) == 1


def test_one_of_several_environments_of_a_seed_stops_all_of_it() -> None:
    def make(*seeds: int) -> LiquidPPO:
        small: dict[str, Any] = {
            "n_envs": 2,
            "rollout_steps": 8,
            "sequence_length": 4,
            "n_epochs": 2,
            "critic_units": (8, 8),
        }
        return LiquidPPO(3, 6, 1, device="cpu", seeds=seeds, kernel=KERNEL, **small)

    agent, alone = make(4, 9), make(9)
    result = agent.train(Makes(number2={"at": 15, "reward": np.nan}), 8, n_steps=60, **QUIET)
    alone.train(Makes(), 8, n_steps=60, **QUIET)
    assert result.lost == [0]
    assert agent.progress[0].step == 28
    assert agent.progress[1] == alone.progress[0]
    if KERNEL == "native":
        assert torch.equal(weights(agent, 1), weights(alone, 0))


def test_choices_of_a_policy_that_is_not_finite_stop_its_seed() -> None:
    class Poison(Callback):
        def on_episode_end(self, trainer: Any, agent: Any, episode: Episode) -> None:
            if episode.seed_index == 0 and episode.number == 2:
                with torch.no_grad():
                    next(agent.networks["actor"].parameters())[0] = torch.nan

    small: dict[str, Any] = {"rollout_steps": 8, "sequence_length": 4, "n_epochs": 2, "critic_units": (8, 8)}
    agent = LiquidPPO(4, 6, 2, discrete=True, device="cpu", seeds=[4, 9], kernel=KERNEL, **small)
    result = agent.train(
        "CartPole-v1", 8, n_episodes=6, evaluate_every=1, evaluation_episodes=2, callbacks=[Poison()], **QUIET
    )
    assert result.lost == [0]
    assert "policy: gave the action" in str(result.stop_reasons[0])
    assert "actor." in str(result.stop_reasons[0])
    assert len(result.returns[1]) == 6
    assert len([e for e in result.evaluations if e.seed_index == 1]) == 6


def test_an_evaluation_that_is_not_finite_stops_its_seed() -> None:
    """Those that share it are evaluated without it."""
    odd = {"number3": {"at": 30, "obs": np.nan}}  # the first of the environments of evaluation, of the first seed
    result = ddpg(4, 9).train(Makes(**odd), 4, n_episodes=6, evaluate_every=2, evaluation_episodes=1, **QUIET)
    assert result.lost == [0]
    assert "evaluation: environment 0: step gave the observation [nan" in str(result.stop_reasons[0])
    assert [(e.seed_index, e.episode) for e in result.evaluations] == [(0, 2), (1, 2), (1, 4), (1, 6)]


def test_other_errors_of_one_seed_are_the_runs() -> None:
    class Fails(Odd):
        def step(self, action: Any) -> Any:
            raise OSError("the simulator is gone")

    made: list[Any] = []

    def make() -> Any:
        made.append(Fails() if len(made) == 1 else Odd())
        return made[-1]

    with pytest.raises(OSError, match="the simulator is gone"):
        ddpg(4, 9).train(make, 4, n_episodes=4, **QUIET)
