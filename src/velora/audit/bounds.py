"""Bounds that hold: where the state of a policy can be, and its answer for every observation in a box.

**Theorem.** The state of a CfC stays in [-1, 1], whatever it is shown, however long a step takes, wherever it began.
*Proof.* A step gives (1 - g) tanh(a) + g tanh(b) with g = sigmoid(c dt + d). g is in [0, 1], so that is a weighted mean
of two numbers in [-1, 1], and the old state enters through a, b, c and d only. ∎

What holds of the other cells, with the same kind of proof, is in :func:`invariants`:

- ``no_gate``: tanh(a) + g tanh(b) is in [-2, 2].
- ``pure``: A (1 - exp(-dt (|w| + |a|)) a) is at most |A| (1 + 1 / (e dt)) from zero, since s exp(-dt s) is at most
  1 / (e dt). That is no bound as dt goes to 0.
- GRU, GRU-D and leaky cells: the new state is a weighted mean of the old one (decayed towards 0 first, of a GRU-D) and
  a tanh. So [-1, 1] is never left, but a state that begins outside is drawn in only step by step.
- LTC: each sub-step is a weighted mean, with positive weights, of the old state, the resting potential and the reversal
  potentials of the synapses onto the neuron. So their hull is never left, 0 in it where a state begins.
- LSTM, and mixed memory: what it reveals is in [-1, 1]; its memory is not bounded, only that it grows by less than 1 a
  step.
- Without memory: tanh is in [-1, 1], ReLU is unbounded above.

An answer's bound is computed by intervals (:mod:`velora.audit.intervals`), on the description of the policy that every
export is written from, in exact arithmetic: ``predict`` computes in float32, and its rounding errors, some 1e-6, come
on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velora.audit.batch import Batch
from velora.audit.intervals import Floats, Interval, Intervals, possible
from velora.core.errors import ShapeError
from velora.export.formulas import step
from velora.export.policy import Layer, Policy
from velora.kernels.layers import Kind

_INSIDE = frozenset({Kind.CFC, Kind.TANH, Kind.LSTM_LAYER})
"""Kinds whose new state is in [-1, 1] from any old one."""
_DRAWN = frozenset({Kind.GRU, Kind.GRU_D, Kind.LEAKY, Kind.LEAKY_NO_RESET})
"""Kinds whose new state lies between the old one, 0 and a number in [-1, 1]."""


def invariants(
    policy: Policy, states: Interval | None = None, *, shortest: float = 1.0
) -> dict[int, tuple[Floats, Floats]]:
    """Return ends that the new state of each layer stays between, by the layer's number; see the module's theorem.

    Shapes:
        states: (B, n_state), where the old states lie; ``None`` for states that a policy comes to from zeros.
        ends: (n,), or (B, n).

    Args:
        shortest: least dt, in control steps.
    """
    found, mixes = {}, policy.layers[0].kind is Kind.LSTM
    for number, layer in enumerate(policy.layers):
        if layer.kind is not Kind.LSTM:
            low, high = _ends(layer, shortest if policy.tells_time else 1.0)
            if mixes and layer.kind is Kind.LTC:  # its old state is what the memory reveals
                low, high = np.minimum(low, -1.0), np.maximum(high, 1.0)
            if states is not None and (layer.kind in _DRAWN or layer.kind is Kind.LTC):
                place = slice(layer.state_at, layer.state_at + layer.n)
                low, high = np.minimum(low, states.low[:, place]), np.maximum(high, states.high[:, place])
            found[number] = low, high
    return found


def _ends(layer: Layer, shortest: float) -> tuple[Floats, Floats]:
    one = np.ones(layer.n)
    tensors = {name: values.astype(np.float64) for name, values in layer.tensors.items()}
    if layer.kind in _INSIDE or layer.kind in _DRAWN:
        return -one, one
    match layer.kind:
        case Kind.CFC_NO_GATE:
            return -2.0 * one, 2.0 * one
        case Kind.CFC_PURE:
            most = np.abs(tensors["A"]).reshape(-1) * (1.0 + np.exp(-1.0) / shortest) * (1.0 + 1e-12)
            return -most, most
        case Kind.LTC:
            low, high = np.minimum(0.0, tensors["vleak"]), np.maximum(0.0, tensors["vleak"])
            for prefix in ("sensory_", ""):
                wired = tensors[f"{prefix}strength"] != 0.0
                erev = np.where(wired, tensors[f"{prefix}erev"], 0.0)
                low, high = np.minimum(low, erev.min(0)), np.maximum(high, erev.max(0))
            margin = 1e-6 * (1.0 + np.abs(low) + np.abs(high))  # products of leak and vleak are rounded to float32
            return low - margin, high + margin
    return np.where(layer.kind is Kind.RELU, 0.0, -np.inf) * one, np.full(layer.n, np.inf)


def reachable(policy: Policy, *, n_steps: int, shortest: float = 1.0) -> Interval:
    """Return a box that holds every state that a policy comes to from zeros within so many steps, (1, n_state).

    Only an LSTM's memory depends on the number of steps.
    """
    low, high = np.full(policy.n_state, -float(n_steps)), np.full(policy.n_state, float(n_steps))
    mixes = policy.layers[0].kind is Kind.LSTM
    for number, ends in invariants(policy, shortest=shortest).items():
        layer = policy.layers[number]
        place = slice(layer.state_at, layer.state_at + layer.n)
        low[place], high[place] = ends
    if mixes:
        n = policy.layers[0].n
        low[:n], high[:n] = np.minimum(low[:n], 0.0), np.maximum(high[:n], 0.0)
    return Interval(np.minimum(low, 0.0)[None], np.maximum(high, 0.0)[None])


@dataclass(frozen=True, slots=True)
class Bound:
    """Where the answers of a step lie.

    Shapes:
        answers: (B, K): continuous actions, or the outputs that a discrete one is chosen by. states: (B, n_state).
        choices: (B, K), which choices may be made; ``None`` of continuous actions.
    """

    answers: Interval
    states: Interval
    choices: NDArray[np.bool_] | None


def bound(policy: Policy, obs: Interval, states: Interval, dt: Interval) -> Bound:
    """Bound one step over boxes of observations, states and times.

    Shapes:
        obs: (B, n_observations). states: (B, n_state). dt: (B,), in control steps, above 0.

    Raises:
        ShapeError: if a shape differs, or a time isn't above 0.
    """
    sizes = (obs.low.shape, states.low.shape, dt.low.shape)
    n = len(dt.low)
    if sizes != ((n, policy.n_observations), (n, policy.n_state), (n,)) or not (dt.low > 0.0).all():
        raise ShapeError(f"bound: expected (B, {policy.n_observations}), (B, {policy.n_state}) and (B,), got {sizes}")
    ops = Intervals(invariants(policy, states, shortest=float(dt.low.min())))
    action, new = step(ops, policy, obs, states, dt)
    if ops.outputs is None:
        return Bound(action, new, None)
    return Bound(ops.outputs, new, possible(ops.outputs))


def bound_steps(policy: Policy, obs: Sequence[Interval], states: Interval, dt: Sequence[Interval]) -> Bound:
    """Bound the last of several steps: whatever is seen in the boxes, one after the other."""
    for seen, time in zip(obs, dt, strict=True):
        found = bound(policy, seen, states, time)
        states = found.states
    return found


@dataclass(frozen=True, slots=True)
class Looseness:
    """How far bounds are from what sampling finds.

    Attributes:
        bounded: mean width of the bound on an answer, as a share of its reach.
        sampled: mean width of what samples spanned, which is at most the true one.
        certain: of discrete actions, the share of boxes for which one choice alone is possible; else NaN.
        steady: of discrete actions, the share of boxes in which every sample made the same choice; else NaN.
        violations: samples outside of their bound by more than 1e-9 of the reach; a sound bound has none.
        n_samples: in all boxes.
    """

    bounded: float
    sampled: float
    certain: float
    steady: float
    violations: int
    n_samples: int

    @property
    def ratio(self) -> float:
        """How many times as wide bounds are as what was sampled: 1 is tight."""
        return self.bounded / self.sampled if self.sampled > 0.0 else np.inf


def looseness(
    policy: Policy,
    obs: Sequence[Interval],
    states: Interval,
    dt: Sequence[Interval],
    *,
    reach: Floats,
    n_samples: int = 256,
    seed: int = 0,
) -> Looseness:
    """Bound the last of several steps, and sample it: half of the samples inside of the boxes, half at corners.

    Shapes:
        obs, dt: one (B, n_observations) and (B,) a step. states: (B, n_state). reach: (K,).
    """
    found, chance, batch = bound_steps(policy, obs, states, dt), np.random.default_rng(seed), Batch(policy)
    n_boxes = len(states.low)

    def drawn(box: Interval) -> Floats:
        low, width = np.repeat(box.low, n_samples, 0), np.repeat(box.width, n_samples, 0)
        share = chance.random(low.shape)
        at_corner = np.tile(np.arange(n_samples) % 2 == 0, n_boxes).reshape(-1, *[1] * (low.ndim - 1))
        return low + width * np.where(at_corner, np.round(share), share)

    state = drawn(states)
    for seen, time in zip(obs, dt, strict=True):
        _, state = batch.step(drawn(seen), state, drawn(time))
    answers = batch.outputs.numpy().reshape(n_boxes, n_samples, -1)
    low, high = found.answers.low[:, None], found.answers.high[:, None]
    outside = (answers < low - 1e-9 * reach) | (answers > high + 1e-9 * reach)
    certain = steady = np.nan
    if found.choices is not None:
        chosen = answers.argmax(2)
        certain, steady = float((found.choices.sum(1) == 1).mean()), float((chosen == chosen[:, :1]).all(1).mean())
    return Looseness(
        bounded=float((found.answers.width / reach).mean()),
        sampled=float(((answers.max(1) - answers.min(1)) / reach).mean()),
        certain=certain,
        steady=steady,
        violations=int(outside.any(2).sum()),
        n_samples=n_boxes * n_samples,
    )
