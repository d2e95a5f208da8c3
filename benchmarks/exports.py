"""Measure ONNX files of the zoo: their size, and the distance to a float64 replay over 1,000 steps.

python -m benchmarks.exports
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

import velora
from velora.export.describe import describe
from velora.export.onnx.target import build
from velora.export.policy import Policy
from velora.export.replay import Replay

STEPS = 1_000
HEAD = """\
| agent | neurons | size, bytes | nodes | action is off by at most | of its range | state |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Print a table, a row for each agent of the zoo."""
    print(HEAD)
    for name in sorted(velora.zoo()):
        print(row(name, describe(velora.zoo(name, device="cpu"))), flush=True)


def row(name: str, policy: Policy) -> str:
    """Measure one policy along random observations and times."""
    model = build(policy)
    data = model.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(data)
    action, state = distance(policy, session)
    span = 1.0 if policy.is_discrete else min(np.subtract(policy.units.high, policy.units.low))  # type: ignore[union-attr]
    neurons = sum(layer.n for layer in policy.layers)
    sizes = f"{neurons} | {len(data):,} | {len(model.graph.node)}"
    return f"| {name} | {sizes} | {action:.1e} | {action / span:.1e} | {state:.1e} |"


def distance(policy: Policy, session: Any) -> tuple[float, float]:
    """Return the largest differences of actions and of states."""
    numbers, replay = np.random.default_rng(0), Replay(policy)
    state, expected = np.zeros((1, policy.n_state), np.float32), np.zeros(policy.n_state)
    largest = np.zeros(2)
    for _ in range(STEPS):
        obs = numbers.normal(size=policy.n_observations).astype(np.float32)
        dt = float(np.float32(numbers.uniform(0.2, 3.0)))
        action, state = session.run(None, inputs(policy, obs, state, dt))
        right, expected = replay.step(obs, expected, dt)
        largest = np.maximum(largest, [np.abs(action[0] - right).max(), np.abs(state[0] - expected).max()])
    return float(largest[0]), float(largest[1])


def inputs(policy: Policy, obs: Any, state: Any, dt: float) -> dict[str, Any]:
    """Return what the session is fed with."""
    return {
        "observation": np.asarray(obs, np.float32)[None],
        "state": np.asarray(state, np.float32),
        "dt": np.array([dt], np.float32),
    }


if __name__ == "__main__":
    main()
