"""Budgets, stopping, evaluation, several seeds, and what a run leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger

from tests.shared import QUIET
from velora.callbacks import SaveCheckpoints
from velora.callbacks.base import Callback
from velora.core import seeding
from velora.core.errors import NonFiniteError, SettingError
from velora.core.types import Evaluation
from velora.metrics.store import RunStore
from velora.models import LiquidDDPG, LiquidPPO
from velora.training import Trainer, TrainResult
from velora.training.evaluation import evaluate, evaluation_seeds


def make(state_dim: int = 4, **settings: Any) -> LiquidDDPG:
    return LiquidDDPG(
        state_dim, 6, 1, **{"device": "cpu", "seed": 1, "warmup_steps": 20, "buffer_size": 300, **settings}
    )


class StopAt(Callback):
    """Stop the run, or one seed, at an episode."""

    def __init__(self, number: int, seed_index: int | None = None) -> None:
        self.number, self.seed_index = number, seed_index

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if episode.number == self.number and self.seed_index in (None, episode.seed_index):
            trainer.stop("enough", seed_index=self.seed_index)


def test_the_budget_is_episodes_or_steps_whichever_ends_first() -> None:
    by_episodes = make().train("InvertedPendulum-v5", 4, n_episodes=3, **QUIET)
    assert (by_episodes.status, len(by_episodes.returns[0])) == ("finished", 3)
    agent = make()
    by_steps = agent.train("InvertedPendulum-v5", 4, n_episodes=100, n_steps=11, **QUIET)
    assert (by_steps.status, agent.progress[0].step) == ("finished", 11)


def test_a_budget_of_steps_alone_has_no_limit_of_episodes() -> None:
    agent = make(warmup_steps=10**6)
    result = agent.train("InvertedPendulum-v5", 4, n_steps=1_500, **QUIET)
    assert agent.progress[0].step == 1_500
    assert len(result.returns[0]) > 100


def test_a_callback_stops_the_run_and_says_why() -> None:
    result = make().train("InvertedPendulum-v5", 4, n_episodes=9, callbacks=[StopAt(2)], **QUIET)
    assert (result.status, result.stop_reason, len(result.returns[0])) == ("stopped", "enough", 2)


def test_a_prompt_shows_a_result_in_one_line() -> None:
    rounds = [Evaluation(0, 9, 1, (1.0,)), Evaluation(1, 9, 1, (2.0,)), Evaluation(0, 18, 2, (3.0,))]
    result = TrainResult("finished", None, [[1.0, 2.0], [3.0]], rounds, Path("runs/a"), [None, None], [18, 9])
    assert repr(result) == (
        "TrainResult(status='finished', episodes=[2, 1], steps=[18, 9], evaluations=[2, 1], run_dir='runs/a')"
    )
    assert "stop_reason='enough', lost=[1], " in repr(replace(result, stop_reason="enough", lost=[1]))


def test_a_second_training_goes_on_with_new_episodes_and_no_second_warm_up() -> None:
    agent, seeds = make(), []

    class Note(Callback):
        def on_episode_start(self, trainer: Any, agent: Any, episode: Any) -> None:
            seeds.append((episode.number, episode.reset_seed))

    for _ in range(2):
        agent.train("InvertedPendulum-v5", 4, n_episodes=3, callbacks=[Note()], **QUIET)
    assert [n for n, _ in seeds] == [1, 2, 3, 1, 2, 3]
    assert [s for _, s in seeds] == [seeding.episode_seed(1, 0, n) for n in range(1, 7)]
    assert agent.progress[0].episode == 6


class NoteSeeds(Callback):
    """Write down with which reset seed each episode begins, by seed."""

    def __init__(self) -> None:
        self.met: dict[int, list[int]] = {}

    def on_episode_start(self, trainer: Any, agent: Any, episode: Any) -> None:
        self.met.setdefault(agent.seeds[episode.seed_index], []).append(episode.reset_seed)


@pytest.mark.parametrize("seeds", [(1,), (1, 5)])
def test_trainings_shorter_than_an_episode_begin_with_new_episodes(seeds: tuple[int, ...]) -> None:
    agent, note = make(3, seed=None, seeds=seeds), NoteSeeds()
    for _ in range(3):
        agent.train("Pendulum-v1", 4, n_steps=7, callbacks=[note], **QUIET)
    agent.train("Pendulum-v1", 4, n_episodes=2, callbacks=[note], **QUIET)
    for seed in seeds:
        assert note.met[seed] == [seeding.episode_seed(seed, 0, n) for n in range(1, 6)]
    assert [(p.episode, p.begun) for p in agent.progress] == [(2, 5)] * len(seeds)


def test_environments_that_are_left_within_their_episodes_begin_with_new_ones() -> None:
    note = NoteSeeds()
    agent = LiquidPPO(3, 6, 1, n_envs=3, rollout_steps=8, sequence_length=4, device="cpu", seed=1)
    for _ in range(2):
        agent.train("Pendulum-v1", 4, n_steps=9, callbacks=[note], **QUIET)
    assert note.met[1] == [seeding.episode_seed(1, 0, n) for n in range(1, 7)]
    assert agent.progress[0].begun == 6


def test_an_agent_that_was_saved_within_an_episode_begins_with_a_new_one(tmp_path: Path) -> None:
    """Loaded and trained on; a resume goes on with the open episode instead, by the seed that it has."""
    agent, note, runs = make(3), NoteSeeds(), tmp_path / "run"
    keep = SaveCheckpoints(runs, frequency=None)
    agent.train("Pendulum-v1", 4, n_steps=7, callbacks=[note, keep], **QUIET)
    agent.save(tmp_path / "alone")
    for saved in (tmp_path / "alone", runs / "final"):
        again, met = LiquidDDPG.load(saved), NoteSeeds()
        assert again.progress == agent.progress
        again.train("Pendulum-v1", 4, n_steps=7, callbacks=[met], **QUIET)
        assert met.met[1] == [seeding.episode_seed(1, 0, 2)]
    on, rest = make(3), NoteSeeds()
    on.train("Pendulum-v1", 4, n_episodes=2, callbacks=[rest], resume=runs, **QUIET)
    assert rest.met[1] == [seeding.episode_seed(1, 0, 2)]
    assert (on.progress[0].episode, on.progress[0].begun) == (2, 2)


def test_a_reset_that_fails_has_begun_nothing() -> None:
    class Stuck(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **given: Any) -> Any:
            raise OSError("the arm is stuck")

    agent = make(3)
    with pytest.raises(OSError, match="stuck"):
        agent.train(Stuck(gym.make("Pendulum-v1")), 4, n_episodes=1, **QUIET)
    assert agent.progress[0].begun == 0


def test_two_runs_of_one_seed_are_the_same_run() -> None:
    first, second, other = (make(seed=s) for s in (3, 3, 4))
    results = [a.train("InvertedPendulum-v5", 8, n_episodes=8, **QUIET).returns for a in (first, second, other)]
    assert results[0] == results[1] != results[2]
    state = [np.ones(4)] * 3
    assert np.array_equal(first.predict(state)[0], second.predict(state)[0])


def test_seeds_of_different_luck_run_side_by_side_each_to_its_own_end() -> None:
    """Seeds whose episodes differ in length, against the same seeds alone: same episodes, nearly the same weights."""
    together = make(seed=None, seeds=[1, 2, 3])
    result = together.train("InvertedPendulum-v5", 4, n_episodes=6, **QUIET)
    for k, seed in enumerate((1, 2, 3)):
        alone = make(seed=seed)
        expected = alone.train("InvertedPendulum-v5", 4, n_episodes=6, **QUIET)
        np.testing.assert_allclose(result.returns[k], expected.returns[0], rtol=1e-4)
        assert together.progress[k] == alone.progress[0]
        for name in ("actor", "target_critic"):
            pairs = zip(together.networks[name].parameters(), alone.networks[name].parameters(), strict=True)
            for a, b in pairs:
                torch.testing.assert_close(a[k : k + 1], b, rtol=1e-3, atol=1e-4)
    assert len({len(r) for r in result.returns}) == 1


def test_one_seed_stops_and_the_others_go_on() -> None:
    agent = make(seed=None, seeds=[1, 2])
    result = agent.train("InvertedPendulum-v5", 4, n_episodes=6, callbacks=[StopAt(2, seed_index=0)], **QUIET)
    assert [len(r) for r in result.returns] == [2, 6]
    assert result.stop_reason == "seed 1: enough"


def test_evaluation_is_the_same_ten_episodes_played_one_by_one() -> None:
    agent = make()
    agent.train("InvertedPendulum-v5", 8, n_episodes=10, **QUIET)
    seeds = evaluation_seeds(3)
    expected = []
    for seed in seeds:
        env = gym.make("InvertedPendulum-v5")
        (obs, _), hidden, total, over = env.reset(seed=seed), None, 0.0, False
        while not over:
            action, hidden = agent.predict(obs, hidden)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        expected.append(total)
    from velora.envs import Environments

    for lanes in (1, 2, 3):
        envs = Environments([gym.make("InvertedPendulum-v5") for _ in range(lanes)], obs_dim=4)
        np.testing.assert_allclose(evaluate(agent, envs, seeds), [expected], rtol=1e-6)


def test_evaluations_are_recorded_and_do_not_disturb_training(tmp_path: Any) -> None:
    plain, watched = make(), make()
    returns = plain.train("InvertedPendulum-v5", 4, n_episodes=6, **QUIET).returns
    result = watched.train(
        "InvertedPendulum-v5", 4, n_episodes=6, evaluate_every=2, evaluation_episodes=3, run_dir=tmp_path, **QUIET
    )
    assert result.returns == returns
    assert [e.episode for e in result.evaluations] == [2, 4, 6]
    assert all(len(e.returns) == 3 for e in result.evaluations)
    with RunStore(tmp_path / "metrics.db") as store:
        rows = store.connection.execute("SELECT episode, mean FROM evaluation ORDER BY episode").fetchall()
        assert rows == [(e.episode, e.mean) for e in result.evaluations]
        count, status = store.connection.execute("SELECT COUNT(*), MAX(status) FROM episode, experiment").fetchone()
        assert (count, status) == (6, "finished")


class Lone(gym.Wrapper[Any, Any, Any, Any]):
    """An environment that can't be made again."""

    spec = None


def test_a_lone_environment_is_trained_on_and_evaluated_between_episodes() -> None:
    env = Lone(gym.make("InvertedPendulum-v5"))
    result = make().train(env, 4, n_episodes=4, evaluate_every=2, evaluation_episodes=2, **QUIET)
    assert len(result.evaluations) == 2
    env.reset(seed=0)  # the owner's environment was not closed
    with pytest.raises(Exception, match="register"):
        make(seed=None, seeds=[1, 2]).train(env, 4, n_episodes=1, **QUIET)


def test_what_is_not_a_number_stops_the_run_where_it_appears() -> None:
    class Nan(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            obs, _, *rest = super().step(action)
            return obs, float("nan"), *rest

    with pytest.raises(NonFiniteError, match=r"step gave the observation .* reward nan"):
        make().train(Nan(gym.make("InvertedPendulum-v5")), 4, n_episodes=4, **QUIET)


@pytest.mark.parametrize("given", [0, 1.5, b"run", ["run"]])
def test_a_path_that_is_none_is_refused_in_a_line(given: Any) -> None:
    agent = make()
    for name, action in {
        "run_dir": lambda: agent.train("InvertedPendulum-v5", 4, run_dir=given, **QUIET),
        "resume": lambda: agent.train("InvertedPendulum-v5", 4, resume=given, **QUIET),
        "dirpath": lambda: agent.save(given),
        "save_checkpoints.directory": lambda: SaveCheckpoints(given),
    }.items():
        with pytest.raises(SettingError, match=f"^{name}: expected a path, got [^\\n]*$"):
            action()
    with pytest.raises(SettingError, match="dirpath: expected a path"):
        LiquidDDPG.load(given)


def test_a_trainer_runs_once() -> None:
    trainer, agent = Trainer(batch_size=4, n_episodes=1, **QUIET), make()
    trainer.fit(agent, "InvertedPendulum-v5")
    with pytest.raises(SettingError, match="runs once"):
        trainer.fit(agent, "InvertedPendulum-v5")


def test_a_run_that_learned_nothing_says_so(caplog: pytest.LogCaptureFixture) -> None:
    make(warmup_steps=10**6).train("InvertedPendulum-v5", 4, n_episodes=2, **QUIET)
    assert "nothing was learned in" in caplog.text
    caplog.clear()
    make().train("InvertedPendulum-v5", 4, n_episodes=9, **QUIET)
    assert not caplog.text


def test_a_callback_logs_numbers_of_its_own() -> None:
    class Sink(DummyLogger):
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[tuple[dict[str, float], int]] = []

        def log_metrics(self, metrics: Any, step: int) -> None:  # type: ignore[override]
            self.rows.append((dict(metrics), step))

    class Report(Callback):
        def on_window_end(self, trainer: Any, agent: Any, window: Any) -> None:
            trainer.log({"mine": 1.5}, seed_index=window.seed_index)

    for seeds, prefix in (((1,), ""), ((8, 9), "seed9/")):
        sink = Sink()
        agent = make(seed=None, seeds=seeds, warmup_steps=10)
        budget: dict[str, Any] = {"n_steps": 24, "window_size": 1}
        agent.train("InvertedPendulum-v5", 4, **budget, log_every=5, callbacks=[Report()], logger=sink, **QUIET)
        steps = [step for row, step in sink.rows if row == {f"{prefix}mine": 1.5}]
        assert len(steps) == agent.progress[-1].episode > 0
        losses = {f"{prefix}{name}" for name in ("actor/loss", "critic/loss", "critic/q")}
        assert agent.progress[-1].update == 14  # the first during the eleventh step
        assert [step for row, step in sink.rows if set(row) == losses] == [15, 20]


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    make().train("InvertedPendulum-v5", 4, n_episodes=1, **QUIET)
    assert torch.get_num_threads() == before
