"""Discrete actions on the command line: train, go on, evaluate, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from velora.checkpoint import Checkpoint
from velora.models import LiquidPPO, LiquidSAC

Command = Callable[..., Any]
SMALL = ("agent.rollout_steps=64", "agent.n_epochs=1", "train.batch_size=32", "device=cpu", "train.progress_bar=false")


def test_train_go_on_and_evaluate(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "agent=liquid_ppo", "env=cartpole", f"hydra.run.dir={run}", "train.seeds=2")
    done = command(*words, "train.n_steps=150", "train.evaluation_episodes=2", *SMALL)
    assert done.code == 0, done.err
    on = command("train", f"resume={run}", "train.n_steps=200")
    assert on.code == 0, on.err
    final = run / "checkpoints" / "seed1" / "final"
    metadata = Checkpoint.open(final).metadata
    assert metadata.progress.step == 200
    said = {"id": "CartPole-v1", "kwargs": {}, "max_episode_steps": 500, "n_actions": 2, "first_action": 0}
    assert metadata.environment == said
    evaluated = command("evaluate", f"checkpoint={run}", "episodes=2")
    assert evaluated.code == 0, evaluated.err
    returns = json.loads(evaluated.out.splitlines()[-1])["seeds"][1]["returns"]
    assert len(returns) == 2
    assert min(returns) >= 8  # a pole takes as long to fall
    agent = LiquidPPO.load(final, buffer=True)
    assert agent.buffer.size(0) == 200 - 3 * 64
    assert agent.predict([0.0] * 4)[0] in (0, 1)


def test_a_soft_actor_critic_chooses_too(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "agent=liquid_sac", "env=cartpole", f"hydra.run.dir={run}", "agent.warmup_steps=40")
    done = command(*words, "train.n_steps=60", "train.batch_size=8", "device=cpu", "train.progress_bar=false")
    assert done.code == 0, done.err
    on = command("train", f"resume={run}", "train.n_steps=80")
    assert on.code == 0, on.err
    evaluated = command("evaluate", f"checkpoint={run}", "episodes=2")
    assert evaluated.code == 0, evaluated.err
    agent = LiquidSAC.load(run / "checkpoints" / "final", buffer=True)
    assert agent.settings.discrete
    assert agent.buffer.size(0) == agent.progress[0].step == 80
    assert agent.predict([0.0] * 4)[0] in (0, 1)


def test_observations_of_any_space_are_flattened(command: Command, tmp_path: Path) -> None:
    run, blackjack = tmp_path / "run", ("train", "agent=liquid_ppo", "env.id=Blackjack-v1")
    harder = ("env/previous=action_reward", "env/flicker=half")
    done = command(*blackjack, f"hydra.run.dir={run}", "train.n_steps=70", "train.seed=0", *harder, *SMALL)
    assert done.code == 0, done.err
    on = command("train", f"resume={run}", "train.n_steps=140")
    assert on.code == 0, on.err
    metadata = Checkpoint.open(run / "checkpoints" / "final").metadata
    assert (metadata.progress.step, metadata.settings["state_dim"]) == (140, 32 + 11 + 2 + 3)
    evaluated = command("evaluate", f"checkpoint={run}", "episodes=5")
    assert evaluated.code == 0, evaluated.err
    assert set(json.loads(evaluated.out.splitlines()[-1])["returns"]) <= {-1.0, 0.0, 1.0}
    done = command(*blackjack, "env/mask=velocity")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "env.mask.drop: the velocities of Blackjack aren't known" in done.err


def test_an_agent_for_other_actions_is_refused_in_one_line(command: Command, tmp_path: Path) -> None:
    done = command("train", "env=cartpole")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "LiquidDDPG gives numbers, and CartPole-v1 has discrete actions; choose agent=liquid_ppo" in done.err
    LiquidPPO(4, 6, 2, discrete=True, device="cpu", seed=0).save(tmp_path / "agent")
    done = command("evaluate", f"checkpoint={tmp_path / 'agent'}", "env=inverted_pendulum", "episodes=1")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "InvertedPendulum-v5: expected discrete actions, got Box" in done.err
