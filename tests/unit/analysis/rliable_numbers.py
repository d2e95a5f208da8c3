"""Make ``rliable_numbers.json``: what rliable says about scores that the tests then ask Velora about.

rliable doesn't import beside pandas 3 and isn't maintained any more, so its numbers are stored. To make them again::

    python -m venv rliable && rliable/bin/pip install rliable==1.2.0 arch==7.2.0 pandas==2.3.3
    rliable/bin/python tests/unit/analysis/rliable_numbers.py
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
from rliable import library, metrics

N_SEEDS = {"first": 10, "second": 10, "third": 7}
N_TASKS = 5
THRESHOLDS = np.linspace(-0.25, 1.25, 13)
DRAWS = 20_000


def main() -> None:
    """Draw scores with ties, ask rliable, and write both."""
    draws = np.random.default_rng(7)
    difficulty = draws.uniform(0.2, 0.8, size=N_TASKS)
    scores = {
        name: np.round(draws.normal(difficulty + 0.06 * k, 0.2, size=(n, N_TASKS)), 2)
        for k, (name, n) in enumerate(N_SEEDS.items())
    }
    options = {"reps": DRAWS, "random_state": np.random.RandomState(0)}
    iqm, iqm_ends = library.get_interval_estimates(scores, lambda x: np.array([metrics.aggregate_iqm(x)]), **options)
    profiles, profile_ends = library.create_performance_profile(scores, THRESHOLDS, reps=DRAWS)
    pairs = {
        f"{x},{y}": (scores[x], scores[y]) for x, y in (("second", "first"), ("third", "first"), ("third", "second"))
    }
    better, better_ends = library.get_interval_estimates(pairs, metrics.probability_of_improvement, **options)
    numbers = {
        "made_by": f"tests/unit/analysis/{Path(__file__).name}",
        "versions": {
            name: importlib.metadata.version(name) for name in ("rliable", "arch", "numpy", "scipy", "pandas")
        },
        "scores": {name: values.T.tolist() for name, values in scores.items()},
        "thresholds": THRESHOLDS.tolist(),
        "aggregate_iqm": {name: [float(iqm[name][0]), *map(float, iqm_ends[name].ravel())] for name in scores},
        "performance_profile": {name: [profiles[name].tolist(), *profile_ends[name].tolist()] for name in scores},
        "probability_of_improvement": {
            name: [float(better[name]), *map(float, np.ravel(better_ends[name]))] for name in pairs
        },
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main()
