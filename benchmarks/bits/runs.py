"""Short runs of every agent and the digests that they leave, by public API alone, so that old versions run them too.

Run as a program it prints them as JSON: ``python benchmarks/bits/runs.py [words that a run's name contains ...]``.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

RECURRENT = {"critic": "recurrent", "sequence_length": 4, "burn_in": 2}
REPLAY = {"warmup_steps": 100, "buffer_size": 1_000}
ROLLOUT = {"rollout_steps": 128, "sequence_length": 8, "n_epochs": 2}
NORMALISED = {"normalize_obs": True, "normalize_returns": True}
CELLS = ("ltc", "leaky", "gru", "lstm", "memoryless")


class Run(NamedTuple):
    """One short run: an agent's class by name, the task, and settings."""

    agent: str
    task: str
    batch_size: int
    settings: dict[str, Any]


RUNS = {
    "ddpg": Run("LiquidDDPG", "pendulum", 16, REPLAY),
    "ddpg recurrent": Run("LiquidDDPG", "pendulum", 8, {**REPLAY, **RECURRENT, "mixed_memory": True}),
    "ddpg liquid critic": Run("LiquidDDPG", "pendulum", 16, {**REPLAY, "critic": "liquid", "optimizer": "adamw"}),
    "ddpg time": Run("LiquidDDPG", "irregular", 8, {**REPLAY, "time": "both", "sequence_length": 3}),
    "td3": Run("LiquidTD3", "inverted_pendulum", 16, REPLAY),
    "td3 recurrent": Run("LiquidTD3", "pendulum", 8, {**REPLAY, **RECURRENT, **NORMALISED}),
    "sac": Run("LiquidSAC", "pendulum", 16, REPLAY),
    "sac discrete": Run("LiquidSAC", "cartpole", 16, {**REPLAY, **NORMALISED, "discrete": True}),
    "ppo": Run("LiquidPPO", "pendulum", 32, {**ROLLOUT, "n_envs": 2, "critic": "recurrent"}),
    "ppo discrete": Run("LiquidPPO", "cartpole", 32, {**ROLLOUT, **NORMALISED, "discrete": True}),
    **{
        f"ddpg {cell}": Run("LiquidDDPG", "pendulum", 8, {**REPLAY, "cell": cell, "sequence_length": 3})
        for cell in CELLS
    },
}
TASKS = {
    "pendulum": ("Pendulum-v1", 3, 1),
    "inverted_pendulum": ("InvertedPendulum-v5", 4, 1),
    "cartpole": ("CartPole-v1", 4, 2),
}
SEEDS = ((7,), (7, 8, 9))
KERNELS = ("native", "numpy", "torch")


def names() -> dict[str, tuple[Run, tuple[int, ...], str]]:
    """Name every combination of run, seeds and kernel."""
    return {
        f"{name}, {len(seeds)} seed{'s' * (len(seeds) > 1)}, {kernel}": (run, seeds, kernel)
        for name, run in RUNS.items()
        for seeds in SEEDS
        for kernel in KERNELS
    }


def digests(run: Run, seeds: tuple[int, ...], kernel: str) -> dict[str, str]:
    """Train for 500 steps; return the digests of all weights and of all metric rows but for clock times."""
    from velora import models

    env, state_dim, action_dim = TASKS.get(run.task, (_irregular, 3, 1))
    agent = getattr(models, run.agent)(
        state_dim, 10, action_dim, **run.settings, device="cpu", kernel=kernel, seeds=list(seeds)
    )
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agent.train(
            env, run.batch_size, n_steps=500, evaluate_every=2, evaluation_episodes=1, run_dir=directory,
            progress_bar=False, summary=False, threads=1,
        )  # fmt: skip
        return {"weights": _of_weights(agent), "rows": _of_rows(Path(directory, "metrics.db"))}


def _irregular() -> Any:
    import gymnasium as gym

    from velora.envs.wrappers import HoldAction

    return HoldAction(gym.make("Pendulum-v1"), [1, 2, 3])


def _of_weights(agent: Any) -> str:
    digest = hashlib.sha256()
    for name in sorted(agent.networks):
        for key, tensor in sorted(agent.networks[name].state_dict().items()):
            digest.update(f"{name}.{key} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _of_rows(database: Path) -> str:
    skipped = {"run_id", "seconds"}
    digest = hashlib.sha256()
    connection = sqlite3.connect(database)
    try:
        for table in ("episode", "metric", "evaluation"):
            columns = [c[1] for c in connection.execute(f"PRAGMA table_info({table})") if c[1] not in skipped]
            for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {', '.join(columns)}"):
                digest.update(repr(row).encode())
    finally:
        connection.close()
    return digest.hexdigest()[:16]


def main(words: list[str]) -> None:
    """Print the digests of every run whose name contains all words."""
    chosen = {name: what for name, what in names().items() if all(word in name for word in words)}
    found = {}
    for i, (name, what) in enumerate(chosen.items(), 1):
        print(f"\r{i}/{len(chosen)} {name:40}", end="", file=sys.stderr, flush=True)
        found[name] = digests(*what)
    print(file=sys.stderr)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
