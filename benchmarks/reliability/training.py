"""Short training runs that are disturbed, and how one is compared with the run that nothing disturbed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import gymnasium as gym

from velora import models
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.checkpoint.layout import seed_directories
from velora.utils import set_seed

QUIET: Final[dict[str, Any]] = {"progress_bar": False, "summary": False, "threads": 1}
SMALL: Final[dict[str, Any]] = {"critic_units": [8, 8]}
REPLAY: Final[dict[str, Any]] = {"warmup_steps": 12, "buffer_size": 64, **SMALL}
ROLLOUT: Final[dict[str, Any]] = {"rollout_steps": 32, "sequence_length": 4, "n_epochs": 2, **SMALL}
OWN: Final = frozenset({"run_id"})
"""What a resumed run's state may differ in from that of the undisturbed one: it is another run."""


@dataclass(frozen=True)
class Task:
    """An environment, and how long its episodes are at most."""

    env: str
    state_dim: int
    action_dim: int
    discrete: bool = False
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 17

    def __call__(self) -> gym.Env[Any, Any]:
        """Make the environment."""
        return gym.make(self.env, max_episode_steps=self.steps, **self.kwargs)


PENDULUM: Final = Task("Pendulum-v1", 3, 1, steps=9)
TASKS: Final = {
    "Pendulum": PENDULUM,
    "InvertedPendulum": Task("InvertedPendulum-v5", 4, 1),
    "HalfCheetah": Task("HalfCheetah-v5", 17, 6),
    "Hopper": Task("Hopper-v5", 11, 3),
    "LunarLanderContinuous": Task("LunarLander-v3", 8, 2, kwargs={"continuous": True}, steps=31),
    "BipedalWalker": Task("BipedalWalker-v3", 24, 4, steps=31),
    "Acrobot": Task("Acrobot-v1", 6, 3, discrete=True),
    "CartPole": Task("CartPole-v1", 4, 2, discrete=True),
    "LunarLander": Task("LunarLander-v3", 8, 4, discrete=True, steps=31),
}


@dataclass(frozen=True)
class Training:
    """A run: what trains, where, for how long, and what is saved on the way."""

    agent: str = "LiquidDDPG"
    task: Task = PENDULUM
    kernel: str = "auto"
    seeds: tuple[int, ...] = (5,)
    n_steps: int = 60
    settings: Mapping[str, Any] = field(default_factory=lambda: REPLAY)
    saving: Mapping[str, Any] = field(default_factory=lambda: {"frequency": 2})
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Any:
        """Make the agent, anew."""
        more = {"discrete": True} if self.task.discrete else {}
        kind = getattr(models, self.agent)
        task, settings = self.task, {**self.settings, **more}
        return kind(
            task.state_dim, 6, task.action_dim, device="cpu", kernel=self.kernel, seeds=list(self.seeds), **settings
        )

    def go(self, place: Path, *callbacks: Callback, resume: Path | None = None, env: Any = None) -> Any:
        """Train, from the beginning or from what is below ``resume``, to the end."""
        set_seed(11)  # the generators of Python, NumPy and PyTorch belong to the state of a run
        saving = SaveCheckpoints(place / "checkpoints", **self.saving)
        return self.make().train(
            env or self.task,
            8,
            n_steps=self.n_steps,
            window_size=3,
            run_dir=place,
            callbacks=[saving, *callbacks],
            resume=resume,
            **{**QUIET, **self.options},
        )

    def longer(self, n_steps: int) -> Training:
        """Return the same run with more steps."""
        return replace(self, n_steps=n_steps)


def homes(place: Path) -> dict[str, Path]:
    """Return where the checkpoints of each seed lie, by name."""
    home = place / "checkpoints"
    return {path.name: path for path in seed_directories(home).values()} or {"": home}


def can_resume(place: Path) -> bool:
    """Return whether any seed has a checkpoint to go on from."""
    return any(Checkpoint.latest(home) is not None for home in homes(place).values())


def finish(training: Training, place: Path, *callbacks: Callback) -> Any:
    """Go on with what was disturbed, as a user does: resume, or begin anew where nothing was saved yet."""
    return training.go(place, *callbacks, resume=place if can_resume(place) else None)


def everything(place: Path, name: str = "final") -> dict[str, Any]:
    """Return all that a run left: every checkpoint of a name, whole, and every metric row but for clock times."""
    found: dict[str, Any] = {}
    run_ids = set()
    for seed, home in homes(place).items():
        metadata = Checkpoint.open(home / name).metadata
        document: dict[str, Any] = metadata.document()
        state = document.pop("train_state")
        run_ids.add(state["run_id"])
        document["train_state"] = {key: value for key, value in state.items() if key not in OWN}
        found[f"checkpoint {seed}"] = document
    (run_id,) = run_ids
    return {**found, **rows(place, run_id)}


TABLES: Final = {
    "episode": "seed, episode, step, updates, reward, length, terminated, truncated, reset_seed, window_mean,"
    " window_std, window_max, window_count",
    "metric": "seed, episode, name, value",
    "evaluation": "seed, step, episode, mean, std, min, max, returns",
}


def rows(place: Path, run_id: str) -> dict[str, list[Any]]:
    """Read every row of a run, without what the clock says."""
    connection = sqlite3.connect(place / "metrics.db")
    try:
        return {
            f"{table} rows": sorted(
                connection.execute(f"SELECT {columns} FROM {table} WHERE run_id = ?", (run_id,)).fetchall(),
                key=repr,
            )
            for table, columns in TABLES.items()
        }
    finally:
        connection.close()


def difference(whole: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Say in a line what differs; ``None`` if nothing does."""
    for key in whole:
        if whole[key] == found.get(key):
            continue
        if isinstance(whole[key], list):
            missing = [row for row in whole[key] if row not in found[key]]
            added = [row for row in found[key] if row not in whole[key]]
            first = f", first {missing[0] if missing else added[0]}" if missing or added else ""
            return f"{key}: {len(missing)} of {len(whole[key])} missing or other, {len(added)} more{first}"
        return f"{key}: {_first(whole[key], found.get(key), '')}"
    return None


def _first(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if one.get(key) != other.get(key):
                return _first(one.get(key), other.get(key), f"{path}.{key}")
    return f"{path.lstrip('.')}: {json.dumps(one, default=str)[:80]} and {json.dumps(other, default=str)[:80]}"


class At(Callback):
    """Do something after a step, once."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        """Look at the step."""
        if self.act is not None and trainer.step >= self.step:
            act, self.act = self.act, None
            act(trainer)


def named(trainings: Mapping[str, Training], names: Sequence[str]) -> dict[str, Training]:
    """Choose some."""
    return {name: trainings[name] for name in names}
