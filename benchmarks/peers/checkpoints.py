"""Checkpoints of Stable-Baselines3 under the faults of ``benchmarks.reliability``; runs in the peers' environment."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import stable_baselines3
import torch

from benchmarks.reliability.plain import digest
from benchmarks.reliability.subject import Subject, scratch
from benchmarks.reliability.tally import Job

OFF_POLICY = ("DDPG", "TD3", "SAC")


@functools.cache
def _model(version: int) -> Any:
    model = stable_baselines3.TD3(
        "MlpPolicy",
        "Pendulum-v1",
        seed=version,
        device="cpu",
        buffer_size=48,
        learning_starts=5,
        batch_size=4,
        policy_kwargs={"net_arch": [8, 8]},
    )
    return model.learn(12 + version)


class StableBaselines3(Subject):
    """``model.save`` of TD3 over the same path, its replay buffer beside it, and ``load`` of both."""

    name = "stable-baselines3"

    def __init__(self) -> None:
        for version in (1, 2, 3):
            _model(version)

    def save(self, place: Path, version: int) -> None:
        """Save as its documentation does."""
        _model(version).save(place / "model")
        _model(version).save_replay_buffer(place / "buffer")

    def load(self, place: Path) -> str:
        """Load as its documentation does."""
        model = stable_baselines3.TD3.load(place / "model", device="cpu")
        model.load_replay_buffer(place / "buffer")
        buffer = model.replay_buffer
        assert buffer is not None
        moments = [model.actor.optimizer.state_dict(), model.critic.optimizer.state_dict()]
        rows = [torch.from_numpy(r.copy()) for r in (buffer.observations, buffer.actions, buffer.rewards, buffer.dones)]
        return digest([model.policy.state_dict(), moments, model.num_timesteps, rows, buffer.pos])


def subjects() -> list[Subject]:
    """List them."""
    return [StableBaselines3()]


def resume(job: Job) -> None:
    """Train in one piece, and in two with a save and a load in between, as its documentation says; compare weights."""
    cuts = [(algorithm, cut) for algorithm in (*OFF_POLICY, "PPO") for cut in (32, 64, 96, 128, 160)]
    for algorithm, cut in job.each(job.some(cuts, quick=2)):
        whole = _make(algorithm).learn(256)
        with scratch() as place:
            first = _make(algorithm).learn(cut)
            first.save(place / "model")
            if algorithm in OFF_POLICY:
                first.save_replay_buffer(place / "buffer")
            second = getattr(stable_baselines3, algorithm).load(place / "model", env=first.get_env(), device="cpu")
            if algorithm in OFF_POLICY:
                second.load_replay_buffer(place / "buffer")
            second.learn(256 - cut, reset_num_timesteps=False)
        if digest(whole.policy.state_dict()) == digest(second.policy.state_dict()):
            job.tally.good("the same bits")
        else:
            job.tally.bad("silently other", f"{algorithm} on Pendulum, cut after step {cut}")


def _make(algorithm: str) -> Any:
    more: dict[str, Any] = {"n_steps": 32, "n_epochs": 2} if algorithm == "PPO" else {"learning_starts": 20}
    return getattr(stable_baselines3, algorithm)(
        "MlpPolicy", "Pendulum-v1", seed=5, device="cpu", batch_size=8, policy_kwargs={"net_arch": [8, 8]}, **more
    )
