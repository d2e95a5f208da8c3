"""What a trial is judged by: the returns of its seeds, and what its policy costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np

from velora.cli.tune.options import Options
from velora.metrics import queries
from velora.metrics.queries import Source

_WARM_UP, _TIMED = 20, 200
_CHOICES: Final[Mapping[str, Callable[[list[float]], Any]]] = {"final": itemgetter(-1), "best": max, "mean": np.mean}


def curves(source: Source, every: int | None) -> dict[int, dict[int, float]]:
    """Read the mean of each evaluation, by seed and by its round; one beside the rounds counts as the last of them.

    Args:
        every: episodes between two rounds; ``None`` if there is one evaluation only, at the end.
    """
    found: dict[int, dict[int, float]] = {}
    for row in queries.evaluations(source):
        number = 1 if every is None else max(1, -(-row.episode // every))
        found.setdefault(row.seed, {})[number] = row.mean
    return found


def latest_round(found: Mapping[int, Mapping[int, float]], training: Sequence[int]) -> int:
    """Return the round that all seeds have come to that still train; 0 if there is none."""
    return min((max(found.get(seed, {0: 0.0})) for seed in training), default=0)


def at_round(found: Mapping[int, Mapping[int, float]], number: int, options: Options) -> float:
    """Summarise the seeds at one round, those that were stopped earlier by the last of theirs."""
    values = [of_seed[max(n for n in of_seed if n <= number)] for of_seed in found.values() if min(of_seed) <= number]
    return options.summarise(values)


def returns(run_dir: Path, options: Options) -> dict[int, float]:
    """Read the return of each seed of a run: of its last evaluation, its best one, or the mean of all."""
    found: dict[int, list[float]] = {}
    for row in queries.evaluations(run_dir):
        found.setdefault(row.seed, []).append(row.mean)
    return {seed: float(_CHOICES[options.value](means)) for seed, means in found.items()}


def cost_of(agent: Any) -> dict[str, float]:
    """Measure what the policy of an agent costs: wired parameters of what acts, and its time on this machine.

    The time is the median over single calls of ``predict``, as a controller makes them.
    """
    networks = agent.summary()["networks"]
    acting = networks.get("actor") or next(iter(networks.values()))
    return {"parameters": float(acting["active"]), "ms_per_action": _ms_per_action(agent)}


def _ms_per_action(agent: Any) -> float:
    one = agent.seed(0)
    state, hidden = np.zeros(one.settings.state_dim, np.float32), None
    taken: list[float] = []
    for _ in range(_WARM_UP + _TIMED):
        began = time.perf_counter()
        _, hidden = one.predict(state, hidden, dt=1.0)
        taken.append(time.perf_counter() - began)
    return round(1000 * float(np.median(taken[_WARM_UP:])), 6)
