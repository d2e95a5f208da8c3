"""Bounds hold: whatever is drawn from a box, its answer and its state lie inside, and so does that of ``predict``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.audit.test_batch import agent_of
from velora.audit.batch import Batch
from velora.audit.bounds import bound, bound_steps, invariants, looseness, reachable
from velora.audit.intervals import Interval, Intervals, possible
from velora.core.errors import ShapeError
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.export.replay import Replay
from velora.models import LiquidPPO
from velora.nn.cells.registry import VARIANTS

_ROUNDED = 1e-6
"""What float32 parameters of an LTC are off the replay's, and ``predict`` off exact arithmetic."""


def box(middle: np.ndarray, radius: float) -> Interval:
    return Interval(middle - radius, middle + radius)


def policy_of(name: str) -> Policy:
    return describe(agent_of(name))


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_drawn_from_a_box_lies_inside_of_its_bound(name: str) -> None:
    policy, chance = policy_of(name), np.random.default_rng(0)
    replay = Replay(policy)
    for radius in (1e-3, 0.3):
        middle, state = chance.normal(size=3), chance.uniform(-0.6, 0.6, policy.n_state)
        dt = Interval(np.array([0.5]), np.array([2.0]))
        found = bound(policy, box(middle[None], radius), box(state[None], radius / 4), dt)
        for _ in range(30):
            sign = chance.choice([-1.0, 1.0, chance.uniform(-1, 1)], 3)
            h = state + radius / 4 * chance.choice([-1.0, 1.0], policy.n_state)
            action, new = replay.step(middle + radius * sign, h, np.float64(chance.choice([0.5, 1.0, 2.0])))
            assert (found.answers.low[0] - _ROUNDED <= action).all()
            assert (action <= found.answers.high[0] + _ROUNDED).all()
            assert (found.states.low[0] - _ROUNDED <= new).all()
            assert (new <= found.states.high[0] + _ROUNDED).all()


@pytest.mark.parametrize("name", ["cfc", "gru", "ltc", "cfc mixed"])
def test_bounds_over_steps_hold_for_predict(name: str) -> None:
    agent, chance, n = agent_of(name), np.random.default_rng(1), 6
    policy = describe(agent)
    middles = chance.normal(size=(n, 3))
    boxes, times = [box(one[None], 0.05) for one in middles], [Interval.point(np.ones(1))] * n
    zero = Interval.point(np.zeros((1, policy.n_state)))
    found = bound_steps(policy, boxes, zero, times)
    for _ in range(20):
        hidden = None
        for middle in middles:
            seen = (middle + 0.049 * chance.choice([-1.0, 1.0], 3)).astype(np.float32)
            action, hidden = agent.predict(seen, hidden)
        assert found.answers.low[0] - 1e-5 <= action <= found.answers.high[0] + 1e-5


def test_a_box_of_a_point_is_as_tight_as_rounding() -> None:
    policy = policy_of("cfc")
    obs, state = np.array([[0.3, -0.2, 1.0]]), np.full((1, policy.n_state), 0.1)
    found = bound(policy, Interval.point(obs), Interval.point(state), Interval.point(np.ones(1)))
    assert 0.0 <= float(found.answers.width.max()) < 1e-12
    action, new = Batch(policy).step(obs, state, [1.0])
    assert (found.answers.low <= action).all()
    assert (action <= found.answers.high).all()
    assert ((found.states.low <= new) & (new <= found.states.high)).all()


@pytest.mark.parametrize("name", ["cfc", "cfc no_gate", "cfc pure", "gru", "gru_d", "leaky", "leaky no_reset", "ltc"])
def test_states_stay_where_the_theorem_says(name: str) -> None:
    policy, chance = policy_of(name), np.random.default_rng(2)
    batch, known = Batch(policy), reachable(policy, n_steps=30, shortest=0.1)
    state = np.zeros((40, policy.n_state))
    for _ in range(30):
        huge = chance.choice([1.0, 1e3, 1e6], (40, 3)) * chance.normal(size=(40, 3))
        _, state = batch.step(huge, state, chance.choice([0.1, 1.0, 50.0], 40))
        assert (known.low <= state).all()
        assert (state <= known.high).all()
    assert np.abs(state).max() > 0.2


def test_a_cfc_is_within_one_from_any_state_at_any_time() -> None:
    policy, chance = policy_of("cfc"), np.random.default_rng(3)
    far = chance.normal(scale=1e4, size=(50, policy.n_state))
    _, new = Batch(policy).step(chance.normal(scale=1e4, size=(50, 3)), far, 10.0 ** chance.uniform(-6, 6, 50))
    assert np.abs(new).max() <= 1.0
    assert {tuple(np.unique(np.abs(ends))) for ends in invariants(policy).values()} == {(1.0,)}


def test_a_gru_that_begins_outside_is_only_drawn_in() -> None:
    policy = policy_of("gru")
    begins = Interval.point(np.full((1, policy.n_state), 5.0))
    found = bound(policy, Interval.point(np.zeros((1, 3))), begins, Interval.point(np.ones(1)))
    assert float(found.states.high.max()) > 1.0
    _, new = Batch(policy).step(np.zeros((1, 3)), begins.low, [1.0])
    assert (new <= found.states.high).all()
    assert float(new.max()) > 1.0


def test_possible_choices_hold_every_one_that_is_made() -> None:
    policy = describe(LiquidPPO(4, 10, 2, discrete=True, seed=0, device="cpu"))
    chance, batch = np.random.default_rng(0), Batch(policy)
    counts = set()
    for radius in (1e-6, 3.0):
        zero = Interval.point(np.zeros((1, policy.n_state)))
        found = bound(policy, box(np.ones((1, 4)), radius), zero, Interval.point(np.ones(1)))
        assert found.choices is not None
        seen = np.ones((200, 4)) + radius * chance.uniform(-1, 1, (200, 4))
        actions, _ = batch.step(seen, np.zeros((200, policy.n_state)), np.ones(200))
        assert found.choices[0, np.unique(actions)].all()
        counts.add(int(found.choices.sum()))
    assert counts == {1, 2}


def test_looseness_is_at_least_one_and_nothing_is_outside() -> None:
    policy = policy_of("cfc")
    own = [box(np.zeros((3, 3)), 0.1)] * 2
    found = looseness(
        policy,
        own,
        Interval.point(np.zeros((3, policy.n_state))),
        [Interval.point(np.ones(3))] * 2,
        reach=np.ones(1),
        n_samples=64,
    )
    assert found.ratio >= 1.0
    assert (found.violations, found.n_samples) == (0, 192)


def test_a_bound_that_is_too_narrow_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = policy_of("cfc")
    linear = Intervals.linear

    def careless(self: Intervals, x: Interval, weight: Interval, bias: Interval) -> Interval:
        found = linear(self, x, weight, bias)
        middle = (found.low + found.high) / 2
        return Interval.point(middle)

    monkeypatch.setattr(Intervals, "linear", careless)
    zero, one = Interval.point(np.zeros((1, policy.n_state))), [Interval.point(np.ones(1))]
    found = looseness(policy, [box(np.zeros((1, 3)), 0.5)], zero, one, reach=np.ones(1), n_samples=64)
    assert found.violations > 0


_ENDS = st.floats(-50.0, 50.0, allow_nan=False)


def interval(ends: tuple[float, float]) -> Interval:
    return Interval(np.array([[min(ends)]]), np.array([[max(ends)]]))


@settings(max_examples=60, deadline=None)
@given(st.tuples(_ENDS, _ENDS), st.tuples(_ENDS, _ENDS), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_every_operation_holds_its_results(
    first: tuple[float, float], second: tuple[float, float], at: float, other: float
) -> None:
    a, b, ops = interval(first), interval(second), Intervals()
    x, y = (float(box.low[0, 0] + share * box.width[0, 0]) for box, share in ((a, at), (b, other)))
    x, y = min(max(x, a.low.item()), a.high.item()), min(max(y, b.low.item()), b.high.item())
    results = [(a + b, x + y), (a - b, x - y), (a * b, x * y), (-a, -x)]
    if b.low.item() > 0.0 or b.high.item() < 0.0:
        results.append((a / b, x / y))
    functions: dict[str, Any] = {"abs": abs, "tanh": np.tanh, "exp": np.exp, "relu": lambda v: max(v, 0.0)}
    functions |= {"sigmoid": lambda v: 1.0 / (1.0 + np.exp(-v)), "softplus": lambda v: np.log1p(np.exp(v))}
    results += [(ops.elementwise(name, a), function(x)) for name, function in functions.items()]
    share = Interval(np.array([[min(at, other)]]), np.array([[max(at, other)]]))
    results.append((ops.mix(a, b, share), (1.0 - at) * x + at * y))
    results.append((ops.sum_rows(Interval(np.stack((a.low, b.low), 1), np.stack((a.high, b.high), 1))), x + y))
    for found, value in results:
        assert found.low.item() <= value <= found.high.item()


def test_a_divisor_that_holds_zero_is_refused() -> None:
    with pytest.raises(ShapeError, match="doesn't hold zero"):
        interval((1.0, 2.0)) / interval((-1.0, 1.0))


def test_boxes_of_other_sizes_are_refused() -> None:
    policy = policy_of("cfc")
    zero, one = Interval.point(np.zeros((1, policy.n_state))), Interval.point(np.ones(1))
    with pytest.raises(ShapeError, match=r"expected \(B, 3\)"):
        bound(policy, Interval.point(np.zeros((1, 4))), zero, one)
    with pytest.raises(ShapeError, match="low ends below their high ends"):
        Interval(np.ones(1), np.zeros(1))


def test_ties_are_possible_choices() -> None:
    assert possible(Interval.point(np.array([[1.0, 1.0, 0.0]]))).tolist() == [[True, True, False]]


@pytest.mark.parametrize("name", ["ltc", "ltc mixed", "cfc pure"])
def test_a_point_is_bounded_where_the_samples_of_an_audit_are_computed(name: str) -> None:
    """Both round products of parameters alike: an audit that counts samples outside of their bound finds none."""
    policy, chance, n = policy_of(name), np.random.default_rng(2), 200
    obs, state = chance.normal(0.0, 10.0, (n, 3)), chance.uniform(-0.9, 0.9, (n, policy.n_state))
    dt, batch = chance.uniform(0.5, 2.0, n), Batch(policy)
    found = bound(policy, *map(Interval.point, (obs, state, dt)))
    _, new = batch.step(obs, state, dt)
    for box, sampled in ((found.answers, batch.outputs.numpy()), (found.states, new)):
        assert (box.low - 1e-12 <= sampled).all()
        assert (sampled <= box.high + 1e-12).all()
