"""Run directories to look at: stores with rows in them, and locks that somebody holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.unit.metrics.rows_to_add import add, evaluate
from velora.metrics import RunStore

COMMAND_LINE: Mapping[str, Any] = {"train.batch_size": 64, "callbacks": "none"}
"""What a run from the command line always says of itself."""


def make_run(
    directory: Path,
    *returns: float,
    status: str = "finished",
    settings: Mapping[str, Any] | None = None,
    run_settings: Mapping[str, Any] = COMMAND_LINE,
    seeds: Sequence[int] = (7,),
    agent: str = "liquid_ddpg",
    environment: str = "Pendulum-v1",
    run_id: str = "run-1",
    n_episodes: int | None = 4,
    n_steps: int | None = None,
    evaluations: Mapping[int, float] | None = None,
    logged: Mapping[str, float] | None = None,
    by_seed: Mapping[int, Sequence[float]] | None = None,
) -> Path:
    """Write the metrics of a run: an episode of 200 steps for each return, and evaluations after some of them.

    Args:
        status: ``running`` leaves it as a killed run does.
        evaluations: number of the episode to the mean return of an evaluation after it.
        logged: what a callback logged after the last episode.
        by_seed: returns of each seed, instead of ``returns`` and ``seeds``.
    """
    earned = by_seed or dict.fromkeys(seeds, returns)
    with RunStore(directory / "metrics.db") as store:
        store.start_run(
            run_id=run_id,
            agent=agent,
            environment=environment,
            seeds=tuple(earned),
            settings=settings or {"n_neurons": 20},
            n_episodes=n_episodes,
            n_steps=n_steps,
        )
        store.describe(run_settings)
        for seed, own in earned.items():
            for number, reward in enumerate(own, start=1):
                add(store, number, reward, seed=seed, losses={"actor/loss": float(number)})
            for number, reward in (evaluations or {}).items():
                evaluate(store, number, reward - 10, reward + 10, seed=seed)
            if logged:
                n = len(own)
                store.add_logged(logged, seed=seed, step=200 * n, update=200 * n - 100, episode=n)
        if status != "running":
            store.finish_run(status, "target reached" if status == "stopped" else None)
    return directory
