"""Several environments of each seed: what counts, what is told, and that seeds stand for themselves."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import KERNELS, QUIET, digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.checkpoint.schema import Part
from velora.core.errors import CheckpointError, SettingError, SpaceError
from velora.core.seeding import episode_seed
from velora.core.types import Episode, Transition
from velora.metrics import queries
from velora.models import LiquidPPO
from velora.training.evaluation import evaluation_seeds
from velora.utils import set_seed


def make(*seeds: int, **settings: Any) -> LiquidPPO:
    small = {"n_envs": 3, "rollout_steps": 8, "sequence_length": 4, "n_epochs": 2, "critic_units": (8, 8)}
    return LiquidPPO(3, 6, 1, **{"device": "cpu", "seeds": seeds, **small, **settings})


def pendulum(steps: int = 5) -> gym.Env[Any, Any]:
    return gym.make("Pendulum-v1", max_episode_steps=steps)


class Watch(Callback):
    """Note episodes, transitions and the order of what is told."""

    def __init__(self) -> None:
        self.begun: list[Episode] = []
        self.ended: list[Episode] = []
        self.transitions: list[Transition] = []
        self.told: list[str] = []

    def on_episode_start(self, trainer: Any, agent: Any, episode: Episode) -> None:
        self.begun.append(episode)

    def on_env_step(self, trainer: Any, agent: Any, transition: Transition) -> None:
        self.transitions.append(transition)

    def on_episode_end(self, trainer: Any, agent: Any, episode: Episode) -> None:
        self.ended.append(episode)
        self.told.append(f"end {episode.number}")

    def on_evaluation_end(self, trainer: Any, agent: Any, evaluation: Any) -> None:
        self.told.append(f"evaluation at {evaluation.episode}")

    def on_train_epoch_end(self, trainer: Any, agent: Any) -> None:
        self.told.append("epoch")


def test_episodes_that_end_together_are_closed_one_by_one_and_none_too_many(tmp_path: Path) -> None:
    watch = Watch()
    result = make(4).train(
        pendulum(), 8, n_episodes=5, evaluate_every=2, evaluation_episodes=1, callbacks=[watch], run_dir=tmp_path,
        **QUIET,
    )  # fmt: skip
    assert watch.told == [
        "end 1", "epoch", "end 2", "evaluation at 2", "epoch", "end 3", "epoch",
        "end 4", "evaluation at 4", "epoch", "end 5", "epoch",
    ]  # fmt: skip
    assert len(result.returns[0]) == 5
    rows = queries.episodes(tmp_path)
    assert [(row.episode, row.step, row.length) for row in rows] == [(n, 15 if n < 4 else 30, 5) for n in range(1, 6)]
    assert [row.reset_seed for row in rows] == [episode_seed(4, 0, n) for n in range(1, 6)]


def test_steps_are_those_of_all_environments() -> None:
    agent, watch = make(4, 5), Watch()
    agent.train(pendulum(), 8, n_steps=31, callbacks=[watch], **QUIET)
    assert [(p.step, p.episode, p.update) for p in agent.progress] == [(33, 6, 1)] * 2  # a step of each at a time
    assert len(watch.transitions) == 11
    assert watch.transitions[0].obs.shape == (6, 3)
    assert watch.transitions[0].reward.shape == (6,)


def test_every_environment_is_begun_by_a_seed_of_its_own_and_goes_the_way_it_would_go_alone() -> None:
    agent, watch = make(0, 5, n_envs=2), Watch()
    agent.train(pendulum(), 8, n_steps=20, callbacks=[watch], **QUIET)
    begun = {k: [e.reset_seed for e in watch.begun if e.seed_index == k] for k in range(2)}
    assert begun == {k: [episode_seed(seed, 0, n) for n in range(1, 5)] for k, seed in enumerate((0, 5))}
    assert not set(begun[0]) & set(evaluation_seeds(50))
    returns = [(e.seed_index, e.reset_seed, e.reward) for e in watch.ended]
    for place in range(4):
        env, k = pendulum(), place // 2
        for number in range(2):
            reset_seed = begun[k][2 * number + place % 2]
            obs, total = env.reset(seed=reset_seed)[0], 0.0
            for t in watch.transitions[5 * number : 5 * number + 5]:
                np.testing.assert_allclose(t.obs[place], obs, atol=1e-6)
                obs, reward, *_ = env.step(np.clip(2.0 * t.action[place], -2.0, 2.0))
                np.testing.assert_allclose(t.next_obs[place], obs, atol=1e-6)
                total += float(reward)
            assert any((k, reset_seed) == end[:2] and abs(total - end[2]) < 1e-4 for end in returns)


class StopSeed(Callback):
    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if agent.seeds[episode.seed_index] == 7 and episode.number == 4:
            trainer.stop("enough", seed_index=episode.seed_index)


@pytest.mark.parametrize("settings", [{}, {"critic": "recurrent", "time": "none"}], ids=str)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_seed_among_four_goes_the_way_it_goes_alone(tmp_path: Path, kernel: str, settings: dict[str, Any]) -> None:
    """Though another stops before; to the bit in the native kernel, in the others to float tolerance."""
    rtol, atol = (0.0, 0.0) if kernel == "native" else (1e-3, 1e-4)
    for name, seeds in (("four", (3, 7, 5, 6)), ("alone", (5,))):
        saving = SaveCheckpoints(tmp_path / name)
        agent = make(*seeds, kernel=kernel, **settings)
        agent.train(pendulum(7), 8, n_steps=120, callbacks=[StopSeed(), saving], **QUIET)
    among, alone = (Checkpoint.open(tmp_path / name / "final") for name in ("four/seed5", "alone"))
    assert (among.metadata.progress, among.metadata.buffer) == (alone.metadata.progress, alone.metadata.buffer)
    parts: tuple[Part, ...] = ("model_state", "buffer_state")
    for part in parts:
        expected = alone.read(part)
        for key, value in among.read(part).items():
            torch.testing.assert_close(value, expected[key], rtol=rtol, atol=atol, msg=f"{part} {key}")
    stopped = Checkpoint.open(tmp_path / "four" / "seed7" / "final").metadata.progress
    assert (stopped.step, stopped.episode) == (42, 6)  # the three that end at its last step count


class FailAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.step:
            raise OSError("the disk is full")


def train(seeds: tuple[int, ...], home: Path, *callbacks: Callback, env: str = "Pendulum-v1", **more: Any) -> None:
    settings: dict[str, Any] = {"discrete": True} if env == "CartPole-v1" else {}
    settings |= {"n_envs": 3, "rollout_steps": 8, "sequence_length": 4, "n_epochs": 2, "critic": "recurrent"}
    dims = (4, 2) if env == "CartPole-v1" else (3, 1)
    agent = LiquidPPO(dims[0], 6, dims[1], device="cpu", seeds=seeds, critic_units=(8, 8), **settings)
    set_seed(0)
    agent.train(
        gym.make(env, max_episode_steps=15), 8, n_steps=180, evaluate_every=2, evaluation_episodes=1,
        run_dir=home.parent / f"{home.name}_run", callbacks=[SaveCheckpoints(home, frequency=1), *callbacks], **more,
        **QUIET,
    )  # fmt: skip


def rows(home: Path) -> list[tuple[float, ...]]:
    return [
        (row.seed, row.episode, row.step, row.reward, row.reset_seed, row.window_mean)
        for row in queries.episodes(home.parent / f"{home.name}_run")
    ]


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_a_run_that_was_cut_within_its_rollouts_goes_on_to_the_same_bits(tmp_path: Path, env: str) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train((1, 2), whole, env=env)
    with pytest.raises(OSError, match="the disk is full"):
        train((1, 2), cut, FailAt(105), env=env)
    saved = Checkpoint.open(cut / "seed1" / "crashed").metadata
    assert saved.buffer is not None
    assert saved.buffer["size"] == 105 - 24 * saved.progress.update < saved.buffer["capacity"] == 24
    train((1, 2), cut, env=env, resume=cut)
    for seed in (1, 2):
        assert digests(whole / f"seed{seed}" / "final") == digests(cut / f"seed{seed}" / "final")
    assert rows(whole) == rows(cut)


@pytest.mark.parametrize("name", ["ep1", "ep2", "ep3"])
def test_a_run_goes_on_from_between_two_episodes_that_end_together(tmp_path: Path, name: str) -> None:
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    train((1,), whole)
    assert Checkpoint.open(whole / name).metadata.progress.step == 45
    train((1,), rest, resume=whole / name)
    assert digests(whole / "final") == digests(rest / "final")
    assert rows(whole)[int(name[2:]) :] == rows(rest)


class SignalInEvaluation(Callback):
    def __init__(self, episode: int) -> None:
        self.episode = episode

    def on_evaluation_start(self, trainer: Any, agent: Any) -> None:
        if trainer.progress[0].episode == self.episode:
            signal.raise_signal(signal.SIGTERM)


def test_an_evaluation_between_two_ends_that_a_signal_cut_is_made_up_for(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train((1,), whole)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # a handler that returns: so does the run
    try:
        train((1,), cut, SignalInEvaluation(4))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert Checkpoint.open(cut / "interrupted").metadata.progress.episode == 4
    train((1,), cut, resume=cut)
    assert digests(whole / "final") == digests(cut / "final")
    assert rows(whole) == rows(cut)
    evaluations = [queries.evaluations(tmp_path / f"{name}_run") for name in ("whole", "cut")]
    assert evaluations[0] == evaluations[1]
    assert [row.episode for row in evaluations[0]] == [2, 6, 8, 12]  # one at a step is kept


def test_a_run_goes_on_with_as_many_environments_only(tmp_path: Path) -> None:
    make(1).train(pendulum(), 8, n_steps=30, callbacks=[SaveCheckpoints(tmp_path)], **QUIET)
    with pytest.raises(
        CheckpointError, match=r"final is of a run with n_envs=3, got n_envs=2; .* resume with n_envs=3$"
    ):
        make(1, n_envs=2).train(pendulum(), 8, n_steps=60, resume=tmp_path, **QUIET)


def test_what_cannot_be_served_is_one_line() -> None:
    with pytest.raises(SettingError, match=r"^n_envs: input should be greater than or equal to 1, got 0$"):
        make(1, n_envs=0)
    with pytest.raises(SettingError, match=r"^batch_size: 25 is more than the 24 steps of a rollout"):
        make(1).train(pendulum(), 25, n_steps=30, **QUIET)

    class Ordinary(gym.Wrapper[Any, Any, Any, Any]):
        """It can't be made again, since it doesn't record its arguments."""

    with pytest.raises(SpaceError, match=r"^env: n_envs=3 for each seed needs 6 .*, or train one seed with n_envs=1$"):
        make(1, 2).train(Ordinary(pendulum()), 8, n_steps=30, **QUIET)
    env = pendulum()
    with pytest.raises(SettingError, match=r"each seed needs one of its own, or n_envs=3 of them$"):
        make(1).train(lambda: env, 8, n_steps=30, **QUIET)
