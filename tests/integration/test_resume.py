"""Exact resume: a run cut in two, in two processes, ends in the same bits as the run in one piece."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint, json_text
from velora.core.errors import CheckpointError
from velora.envs.wrappers import HoldAction
from velora.models import LiquidDDPG, LiquidPPO
from velora.training import TrainResult
from velora.utils import set_seed

RUN = """
import sys
from velora.callbacks import EarlyStopping, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.utils import set_seed

set_seed(3)
env, dims, episodes, directory, *resume = sys.argv[1:]
state_dim, action_dim = map(int, dims.split(","))
agent = LiquidDDPG(state_dim, 6, action_dim, warmup_steps=40, buffer_size=150, sequence_length=2, burn_in=1,
                   device="cpu")
callbacks = [SaveCheckpoints(f"{directory}/checkpoints", frequency=4), EarlyStopping(patience=1000)]
agent.train(env, 8, n_episodes=int(episodes), n_steps=int(1e9), window_size=3, evaluate_every=3, evaluation_episodes=2,
            callbacks=callbacks, run_dir=directory, resume=resume[0] if resume else None, summary=False)
"""


def run(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def rows(database: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        episodes = connection.execute(
            "SELECT seed, episode, step, reward, length, reset_seed, window_mean, window_std, window_max FROM episode"
            " ORDER BY seed, episode"
        ).fetchall()
        evaluations = connection.execute(
            "SELECT seed, step, episode, mean, returns FROM evaluation ORDER BY seed, step"
        )
        return episodes + evaluations.fetchall()


@pytest.mark.parametrize(
    ("env", "dims"), [("InvertedPendulum-v5", "4,1"), pytest.param("Pendulum-v1", "3,1", marks=pytest.mark.slow)]
)
def test_two_halves_in_two_processes_equal_the_whole(tmp_path: Path, env: str, dims: str) -> None:
    run(env, dims, "8", tmp_path / "whole")
    run(env, dims, "4", tmp_path / "halves")
    # The run was told of 4 episodes; told of 8 it goes on to 8.
    run(env, dims, "8", tmp_path / "halves", tmp_path / "halves" / "checkpoints" / "ep4")
    for name in ("ep8", "final"):
        whole, halves = (digests(tmp_path / kind / "checkpoints" / name) for kind in ("whole", "halves"))
        assert whole == halves
    assert rows(tmp_path / "whole" / "metrics.db") == rows(tmp_path / "halves" / "metrics.db")


class FailAt(Callback):
    """Fail once, right after a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.at:
            self.at = -1
            raise OSError("the disk is full")


@pytest.mark.parametrize("step", [5, 9])
def test_a_crash_right_after_a_step_can_be_gone_on_from(tmp_path: Path, step: int) -> None:
    def train(*callbacks: Callback, resume: Path | None = None) -> TrainResult:
        agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=2, buffer_size=50)
        env = gym.make("Pendulum-v1", max_episode_steps=5)
        saving = SaveCheckpoints(tmp_path / "checkpoints", frequency=100)
        quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
        return agent.train(env, 2, n_episodes=4, callbacks=[saving, *callbacks], resume=resume, **quiet)

    with pytest.raises(OSError, match="the disk is full"):
        train(FailAt(step))
    assert Checkpoint.open(tmp_path / "checkpoints" / "crashed").metadata.progress.step == step
    assert not (tmp_path / "checkpoints" / "final").exists()
    result = train(resume=tmp_path / "checkpoints")
    assert result.status == "finished"
    assert Checkpoint.open(tmp_path / "checkpoints" / "final").metadata.progress.step == 20


@pytest.mark.parametrize("critic", ["dense", "recurrent"])
@pytest.mark.parametrize(("env", "dims", "discrete"), [("Pendulum-v1", (3, 1), False), ("CartPole-v1", (4, 2), True)])
def test_a_rollout_that_was_cut_within_an_episode_goes_on_to_the_same_bits(
    tmp_path: Path, env: str, dims: tuple[int, int], discrete: bool, critic: str
) -> None:
    def train(home: Path, *callbacks: Callback, resume: Path | None = None) -> TrainResult:
        set_seed(3)
        small: dict[str, Any] = {
            "critic": critic,
            "critic_units": (8, 8),
            "rollout_steps": 20,
            "sequence_length": 4,
            "n_epochs": 2,
        }
        agent = LiquidPPO(dims[0], 6, dims[1], discrete=discrete, device="cpu", seed=1, **small)
        saving = [SaveCheckpoints(home, frequency=1000), *callbacks]
        quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
        made = gym.make(env, max_episode_steps=15)
        return agent.train(made, 8, n_steps=90, callbacks=saving, resume=resume, **quiet)

    train(tmp_path / "whole")
    with pytest.raises(OSError, match="the disk is full"):
        train(tmp_path / "cut", FailAt(53))
    saved = Checkpoint.open(tmp_path / "cut" / "crashed").metadata
    assert saved.buffer is not None
    assert (saved.progress.update, saved.buffer["size"], saved.buffer["capacity"]) == (2, 13, 20)
    assert saved.train_state is not None
    assert saved.train_state["lane"]["running"] is not None  # type: ignore[index,call-overload]
    train(tmp_path / "cut", resume=tmp_path / "cut")
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "cut" / "final")


def write_as_version_1(checkpoint: Path) -> None:
    """Take out of a checkpoint what schema version 1 didn't have."""
    path = checkpoint / "metadata.json"
    document = json.loads(path.read_bytes())
    del document["metadata_sha256"], document["progress"]["begun"]
    document["schema_version"] = 1
    digest = hashlib.sha256(json_text.canonical(document)).hexdigest()
    path.write_bytes(json_text.render({**document, "metadata_sha256": digest}, "metadata.json"))


@pytest.mark.parametrize("at", [1, 17, 20])
def test_a_run_of_schema_version_1_goes_on_to_the_same_bits(tmp_path: Path, at: int) -> None:
    """Its open episodes are counted as begun: three of them, or fewer where some have just ended."""

    def train(home: Path, *callbacks: Callback, resume: Path | None = None) -> LiquidPPO:
        set_seed(3)
        agent = LiquidPPO(4, 6, 2, discrete=True, n_envs=3, rollout_steps=8, n_epochs=1, device="cpu", seed=1)
        quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
        saving = [SaveCheckpoints(home, frequency=None), *callbacks]
        made = gym.make("CartPole-v1", max_episode_steps=20)
        agent.train(made, 8, n_steps=270, callbacks=saving, resume=resume, **quiet)
        return agent

    whole = train(tmp_path / "whole")
    with pytest.raises(OSError, match="the disk is full"):
        train(tmp_path / "cut", FailAt(3 * at))
    write_as_version_1(tmp_path / "cut" / "crashed")
    rest = train(tmp_path / "rest", resume=tmp_path / "cut" / "crashed")
    assert rest.progress == whole.progress
    assert whole.progress[0].begun > whole.progress[0].episode > 3
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "rest" / "final")


def small(seed: int | None = None, seeds: tuple[int, ...] | None = None, **settings: Any) -> LiquidDDPG:
    return LiquidDDPG(3, 6, 1, device="cpu", warmup_steps=20, buffer_size=100, seed=seed, seeds=seeds, **settings)


def train(agent: LiquidDDPG, home: Path, n_episodes: int, *callbacks: Callback, **arguments: Any) -> TrainResult:
    set_seed(3)
    saving = [SaveCheckpoints(home, frequency=1)]
    quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
    env = gym.make("Pendulum-v1", max_episode_steps=15)
    return agent.train(env, 4, n_episodes=n_episodes, callbacks=[*saving, *callbacks], **quiet, **arguments)


def test_an_agent_whose_seed_nobody_chose_takes_over_that_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small(5), tmp_path / "whole", 4)
    train(small(5), tmp_path / "cut", 2)
    with pytest.raises(CheckpointError, match="is of seed 5, this agent was made with seed 9; make it with seed=5"):
        train(small(9), tmp_path / "cut", 4, resume=tmp_path / "cut")
    monkeypatch.setattr("velora.core.seeding._process_seed", None)
    again = small()
    train(again, tmp_path / "cut", 4, resume=tmp_path / "cut")
    assert again.seeds == (5,)
    assert digests(tmp_path / "whole" / "final") == digests(tmp_path / "cut" / "final")


# ------------------------------------------------------------------------------------------------ runs of several seeds


class StopSeed(Callback):
    """Stop one seed after an episode."""

    def __init__(self, seed: int, after: int) -> None:
        self.seed, self.after = seed, after

    def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
        if agent.seeds[episode.seed_index] == self.seed and episode.number == self.after:
            trainer.stop("enough", seed_index=episode.seed_index)


def test_a_run_of_several_seeds_goes_on_with_a_larger_budget(tmp_path: Path) -> None:
    train(small(seeds=(7, 2)), tmp_path / "whole", 5, run_dir=tmp_path / "whole_run")
    train(small(seeds=(7, 2)), tmp_path / "cut", 3, run_dir=tmp_path / "cut_run")
    result = train(small(seeds=(7, 2)), tmp_path / "cut", 5, resume=tmp_path / "cut", run_dir=tmp_path / "cut_run")
    assert [len(returns) for returns in result.returns] == [2, 2]
    for seed in (7, 2):
        for name in ("ep4", "ep5", "final"):
            assert digests(tmp_path / "whole" / f"seed{seed}" / name) == digests(
                tmp_path / "cut" / f"seed{seed}" / name
            )
    assert rows(tmp_path / "whole_run" / "metrics.db") == rows(tmp_path / "cut_run" / "metrics.db")


def test_the_order_of_the_seeds_may_change(tmp_path: Path) -> None:
    train(small(seeds=(7, 2)), tmp_path / "whole", 4)
    train(small(seeds=(7, 2)), tmp_path / "cut", 2)
    train(small(seeds=(2, 7)), tmp_path / "cut", 4, resume=tmp_path / "cut")
    for seed in (7, 2):
        assert digests(tmp_path / "whole" / f"seed{seed}" / "final") == digests(
            tmp_path / "cut" / f"seed{seed}" / "final"
        )


def test_a_seed_that_was_stopped_stays_so(tmp_path: Path) -> None:
    train(small(seeds=(7, 2)), tmp_path, 3, StopSeed(7, after=2))
    result = train(small(seeds=(7, 2)), tmp_path, 5, resume=tmp_path)
    assert [len(returns) for returns in result.returns] == [0, 2]
    assert (result.status, result.stop_reason, result.stop_reasons) == ("finished", "seed 7: enough", ["enough", None])
    assert Checkpoint.open(tmp_path / "seed7" / "final").metadata.progress.episode == 2


def test_a_run_whose_seeds_were_all_stopped_has_nothing_left_to_do(tmp_path: Path) -> None:
    stops = [StopSeed(seed, after=1) for seed in (7, 2)]
    for resume in (None, tmp_path):
        result = train(small(seeds=(7, 2)), tmp_path, 3, *stops, resume=resume)
        assert (result.status, result.stop_reason) == ("stopped", "seed 7: enough; seed 2: enough")


def test_one_seed_of_several_goes_on_alone_as_it_would_among_them(tmp_path: Path) -> None:
    train(small(seeds=(7, 2), kernel="torch"), tmp_path, 2)
    train(small(2, kernel="torch"), tmp_path / "seed2", 4, resume=tmp_path / "seed2")
    train(small(seeds=(7, 2), kernel="torch"), tmp_path / "whole", 4)
    one, other = (
        Checkpoint.open(path / "seed2" / "final").read("buffer_state") for path in (tmp_path, tmp_path / "whole")
    )
    torch.testing.assert_close(one["rows"], other["rows"], rtol=1e-3, atol=1e-3)


def test_a_seed_without_a_checkpoint_begins_anew(tmp_path: Path) -> None:
    train(small(seeds=(7, 2)), tmp_path / "whole", 3)
    train(small(seeds=(7, 2)), tmp_path / "cut", 2)
    for path in (tmp_path / "cut" / "seed7").iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    used = small(seeds=(7, 2))
    used.progress[0].step = 1
    with pytest.raises(CheckpointError, match="seed 7 has no checkpoint, and this agent has been trained already"):
        train(used, tmp_path / "cut", 3, resume=tmp_path / "cut")
    train(small(seeds=(7, 2)), tmp_path / "cut", 3, resume=tmp_path / "cut")
    for seed in (7, 2):
        assert digests(tmp_path / "whole" / f"seed{seed}" / "final") == digests(
            tmp_path / "cut" / f"seed{seed}" / "final"
        )


def test_seeds_that_do_not_fit_the_directory_are_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    train(small(seeds=(7, 2)), home, 1)
    train(small(1), tmp_path / "one", 1)

    def refused(agent: LiquidDDPG, resume: Path) -> str:
        with pytest.raises(CheckpointError) as error:
            train(agent, tmp_path / "new", 2, resume=resume)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert (
        "holds a run of the seeds 2, 7, this agent trains one; make it with seeds=, or go on with one seed"
        in refused(small(7), home)
    )
    assert refused(small(7), home).endswith("home/seed7")
    assert "one/final is a checkpoint of one seed" in refused(small(seeds=(7, 2)), tmp_path / "one" / "final")
    assert "nowhere holds none" in refused(small(seeds=(7, 2)), tmp_path / "nowhere")
    assert "home/seed4 is missing; this agent trains the seeds 7, 2, 4" in refused(small(seeds=(7, 2, 4)), home)
    shutil.copytree(home / "seed2", home / "seed9")
    assert "has seed 9 too, which this agent doesn't train" in refused(small(seeds=(7, 2)), home)
    assert "seed9/final is of seed 2, expected one of seed 9" in refused(small(seeds=(2, 7, 9)), home)
    shutil.rmtree(home / "seed9")
    shutil.rmtree(home / "seed2")
    train(small(seeds=(2, 3)), tmp_path / "other", 1)
    shutil.copytree(tmp_path / "other" / "seed2", home / "seed2")
    assert "are of different runs; put each where it belongs" in refused(small(seeds=(7, 2)), home)
    for path in home.rglob("metadata.json"):
        path.unlink()
    assert "holds no checkpoint of any seed yet" in refused(small(seeds=(7, 2)), home)


def test_callbacks_get_what_belongs_to_each_seed_from_its_own_checkpoint(tmp_path: Path) -> None:
    class Keep(Callback):
        def __init__(self) -> None:
            self.loaded: list[Any] = []
            self.saving = 0

        def state_dict(self) -> dict[str, Any]:
            return {"saves": self.saving}

        def load_state_dict(self, state: Any) -> None:
            self.loaded.append(dict(state))

        def seed_state_dict(self, seed: int) -> dict[str, Any]:
            return {"mine": seed * 10}

        def load_seed_state_dict(self, seed: int, state: Any) -> None:
            self.loaded.append((seed, state["mine"]))

        def on_save_checkpoint(self, trainer: Any, agent: Any, checkpoint: Any) -> None:
            self.saving += 1
            checkpoint["n"] = self.saving

        def on_load_checkpoint(self, trainer: Any, agent: Any, checkpoint: Any) -> None:
            self.loaded.append(checkpoint["n"])

    train(small(seeds=(7, 2)), tmp_path, 1, Keep())
    shutil.rmtree(tmp_path / "seed7" / "final")
    again = Keep()
    train(small(seeds=(7, 2)), tmp_path, 2, again, resume=tmp_path)
    # ep1 of seed 2 was saved first (1), then ep1 of seed 7 (2), final of seed 7 (3) and of seed 2 (4).
    assert again.loaded == [2, 4, {"saves": 4}, (7, 70), (2, 20)]


def test_a_run_does_not_go_on_in_another_environment(tmp_path: Path) -> None:
    """Its checkpoints would name the wrong one, and its actions be in the wrong units."""
    own = {"warmup_steps": 10, "buffer_size": 50, "device": "cpu", "seed": 1}
    quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
    agent = LiquidDDPG(3, 6, 1, **own)  # type: ignore[arg-type]
    saving = [SaveCheckpoints(tmp_path / "checkpoints")]
    agent.train("Pendulum-v1", 8, n_episodes=1, callbacks=saving, **quiet)
    for other in (
        HoldAction(gym.make("Pendulum-v1"), [1, 2]),
        gym.wrappers.RescaleAction(gym.make("Pendulum-v1"), np.float32(-1), np.float32(1)),
    ):
        fresh = LiquidDDPG(3, 6, 1, **own)  # type: ignore[arg-type]
        with pytest.raises(CheckpointError, match=r"resume: the run was trained in .*Pendulum-v1") as error:
            fresh.train(other, 8, n_episodes=2, resume=tmp_path / "checkpoints", **quiet)
        assert "\n" not in str(error.value)


def test_a_step_counts_when_every_environment_has_made_it(tmp_path: Path) -> None:
    """One seed's environment fails after the other's has answered: neither has lived the step."""

    class Fails(gym.Wrapper[Any, Any, Any, Any]):
        def __init__(self, env: gym.Env[Any, Any], at: int) -> None:
            super().__init__(env)
            self.left = at

        def step(self, action: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("broken")
            return self.env.step(action)

    limits = iter((10**6, 25))
    agent = LiquidDDPG(3, 6, 1, warmup_steps=10, buffer_size=50, device="cpu", seeds=[1, 2])
    with pytest.raises(RuntimeError, match="broken"):
        agent.train(
            lambda: Fails(gym.make("Pendulum-v1"), next(limits)), 8, n_episodes=1, progress_bar=False, summary=False
        )
    assert [p.step for p in agent.progress] == [25, 25]
    assert [agent.buffer.size(k) for k in range(2)] == [25, 25]
