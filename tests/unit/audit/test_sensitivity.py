"""Slopes beside finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.audit.test_batch import agent_of
from velora.audit.sensitivity import slopes, steepness
from velora.export.describe import describe
from velora.export.replay import Replay
from velora.models import LiquidPPO


@pytest.mark.parametrize("name", ["cfc", "ltc", "gru", "cfc mixed"])
def test_slopes_are_finite_differences(name: str) -> None:
    policy, chance = describe(agent_of(name)), np.random.default_rng(0)
    obs, states = chance.normal(size=(3, 3)), chance.uniform(-0.5, 0.5, (3, policy.n_state))
    dt = np.array([1.0, 2.0, 0.5])
    found, replay, small = slopes(policy, obs, states, dt), Replay(policy), 1e-6
    assert found.shape == (3, 1, 3)
    for k in range(3):
        for at in range(3):
            ends = [obs[k] + sign * small * np.eye(3)[at] for sign in (1.0, -1.0)]
            high, low = (replay.step(end, states[k], dt[k])[0] for end in ends)
            assert found[k, 0, at] == pytest.approx(float((high - low)[0]) / (2 * small), abs=1e-5)


def test_slopes_of_a_choice_are_those_of_its_outputs() -> None:
    policy = describe(LiquidPPO(4, 10, 2, discrete=True, seed=0, device="cpu"))
    obs, states = np.full((1, 4), 0.1), np.zeros((1, policy.n_state))
    found, replay, small = slopes(policy, obs, states, np.ones(1)), Replay(policy), 1e-6
    ends = [replay.inputs(obs[0] + sign * small * np.eye(4)[2], 1.0) for sign in (1, -1)]
    high, low = (replay.network(end, states[0], 1.0)[0] for end in ends)
    np.testing.assert_allclose(found[0, :, 2], (high - low) / (2 * small), atol=1e-6)


def test_steepness_is_in_reaches_by_spreads() -> None:
    jacobians = np.array([[[3.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = steepness(jacobians, np.array([2.0, 4.0]), np.array([6.0, 1.0]))
    np.testing.assert_allclose(found, [4.0, 0.0])


def test_no_pair_of_near_observations_is_steeper_than_said_by_much() -> None:
    policy, chance = describe(agent_of("cfc")), np.random.default_rng(1)
    replay, state = Replay(policy), np.zeros(policy.n_state)
    obs = chance.normal(size=(20, 3))
    said = steepness(slopes(policy, obs, np.tile(state, (20, 1)), np.ones(20)), np.ones(3), np.ones(1))
    for x, most in zip(obs, said, strict=True):
        step = chance.normal(size=3)
        step *= 1e-5 / np.linalg.norm(step)
        moved = replay.step(x + step, state)[0] - replay.step(x, state)[0]
        assert abs(float(moved[0])) / 1e-5 <= most * 1.001 + 1e-6
