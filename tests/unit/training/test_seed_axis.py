"""Seeds that stop at different times, and runs after runs of several seeds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import QUIET
from velora.callbacks import Callback
from velora.core.errors import SettingError, SpaceError
from velora.models import LiquidDDPG

ENV = "InvertedPendulum-v5"


def make(*seeds: int, **settings: Any) -> LiquidDDPG:
    return LiquidDDPG(4, 6, 1, **{"device": "cpu", "seeds": seeds, "warmup_steps": 10, "buffer_size": 300, **settings})


class StopSeeds(Callback):
    """Stop chosen seeds after an episode."""

    def __init__(self, *seed_indices: int, after: int = 1) -> None:
        self.seed_indices, self.after = seed_indices, after

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if episode.seed_index in self.seed_indices and episode.number == self.after:
            trainer.stop("enough", seed_index=episode.seed_index)


def weights(agent: LiquidDDPG, seed_index: int) -> torch.Tensor:
    return torch.cat([p[seed_index].detach().flatten() for p in agent.networks["actor"].parameters()])


def test_a_second_run_learns_again() -> None:
    agent = make(1, 2)
    agent.train(ENV, 4, n_episodes=5, **QUIET)
    before = [weights(agent, k) for k in range(2)]
    agent.train(ENV, 4, n_episodes=5, **QUIET)
    assert all(not torch.equal(before[k], weights(agent, k)) for k in range(2))


def test_a_seed_that_stops_early_does_not_starve_the_others() -> None:
    together, alone = make(1, 2), make(2)
    together.train(ENV, 32, n_episodes=12, callbacks=[StopSeeds(0)], **QUIET)
    alone.train(ENV, 32, n_episodes=12, **QUIET)
    assert together.progress[0].update == 0
    assert together.progress[1] == alone.progress[0]
    assert alone.progress[0].update > 10
    torch.testing.assert_close(weights(together, 1), weights(alone, 0), rtol=1e-3, atol=1e-4)


def test_a_stopped_seed_is_saved_with_the_optimizer_it_stopped_with(tmp_path: Path) -> None:
    agent = make(1, 2)
    agent.train(ENV, 4, n_episodes=9, callbacks=[StopSeeds(0, after=5)], **QUIET)
    stopped = agent.progress[0].update
    assert 0 < stopped < agent.progress[1].update
    counts = {int(t) for n, t in agent.seed(0).learner.optimizer_state(0).items() if n.endswith(".step")}
    assert counts == {stopped}
    agent.seed(0).save(tmp_path / "a")
    LiquidDDPG.load(tmp_path / "a").train(ENV, 4, n_episodes=1, **QUIET)


def test_all_seeds_stopped_one_by_one_is_a_stopped_run() -> None:
    result = make(1, 2).train(ENV, 4, n_episodes=30, callbacks=[StopSeeds(0, 1)], **QUIET)
    assert result.status == "stopped"
    assert [len(returns) for returns in result.returns] == [1, 1]


def test_every_seed_has_its_own_losses_in_the_metrics(tmp_path: Path) -> None:
    agent, seen = make(1, 2), {}

    class Keep(Callback):
        def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
            seen[agent.seeds[episode.seed_index], episode.number] = trainer.losses(episode.seed_index)

    agent.train(ENV, 4, n_episodes=5, run_dir=tmp_path, callbacks=[Keep()], **QUIET)
    with sqlite3.connect(tmp_path / "metrics.db") as connection:
        rows = connection.execute("SELECT seed, episode, value FROM metric WHERE name = 'critic/loss'").fetchall()
    stored = {(seed, episode): value for seed, episode, value in rows}
    assert stored == {key: losses["critic/loss"] for key, losses in seen.items() if losses}
    assert stored[1, 5] != stored[2, 5]


def test_one_environment_for_two_seeds_is_refused() -> None:
    env = gym.make(ENV)
    with pytest.raises(SettingError, match="each seed needs one of its own"):
        make(1, 2).train(lambda: env, 4, n_episodes=1, **QUIET)
    for one in (3, np.array(3)):
        with pytest.raises(SettingError, match="expected several whole numbers"):
            LiquidDDPG(4, 6, 1, seeds=one)  # type: ignore[arg-type]


class Halve(gym.Wrapper[Any, Any, Any, Any]):
    """A user's ordinary wrapper, which doesn't record its arguments."""

    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, float(reward) / 2, *rest


def test_an_environment_under_an_ordinary_wrapper_is_trained_and_evaluated_on() -> None:
    env = Halve(gym.make(ENV))
    result = make(1).train(env, 4, n_episodes=4, evaluate_every=2, evaluation_episodes=2, **QUIET)
    assert len(result.evaluations) == 2
    assert all(r % 0.5 == 0 for e in result.evaluations for r in e.returns)
    with pytest.raises(SpaceError, match="RecordConstructorArgs"):
        make(1, 2).train(env, 4, n_episodes=1, **QUIET)


class Evaluations(Callback):
    """Note who is evaluated, when, and what comes before and after."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        self.seen.append(f"end {episode.seed_index}")

    def on_evaluation_start(self, trainer: Any, agent: Any) -> None:
        self.seen.append("round")

    def on_evaluation_end(self, trainer: Any, agent: Any, evaluation: Any) -> None:
        self.seen.append(f"evaluation {evaluation.seed_index} at {trainer.progress[evaluation.seed_index].episode}")

    def on_train_epoch_end(self, trainer: Any, agent: Any) -> None:
        self.seen.append("epoch")


def test_seeds_whose_episodes_end_together_are_evaluated_together() -> None:
    seen = Evaluations()
    agent = LiquidDDPG(3, 6, 1, device="cpu", seeds=(1, 2), warmup_steps=100, buffer_size=100)
    env = gym.make("Pendulum-v1", max_episode_steps=4)
    result = agent.train(env, 4, n_episodes=2, evaluate_every=2, evaluation_episodes=1, callbacks=[seen], **QUIET)
    assert seen.seen == [
        "end 0", "end 1", "epoch", "epoch",
        "end 0", "end 1", "round", "evaluation 0 at 2", "evaluation 1 at 2", "epoch", "epoch",
    ]  # fmt: skip
    assert [e.seed_index for e in result.evaluations] == [0, 1]


def test_each_seed_is_evaluated_at_its_own_episodes() -> None:
    agent, seen = make(1, 2), Evaluations()
    result = agent.train(ENV, 4, n_episodes=9, evaluate_every=3, evaluation_episodes=2, callbacks=[seen], **QUIET)
    assert [(e.seed_index, e.episode) for e in sorted(result.evaluations, key=lambda e: (e.seed_index, e.episode))] == [
        (k, n) for k in range(2) for n in (3, 6, 9)
    ]


def test_what_a_seed_earns_in_an_evaluation_does_not_depend_on_the_others() -> None:
    seen: dict[str, list[Any]] = {}

    class Ask(Callback):
        def on_train_end(self, trainer: Any, agent: Any) -> None:
            seen["both"] = trainer.evaluate()
            seen["second"] = trainer.evaluate([1])

    make(1, 2).train(ENV, 4, n_episodes=3, evaluation_episodes=3, callbacks=[Ask()], **QUIET)
    assert seen["second"] == seen["both"][1:]
