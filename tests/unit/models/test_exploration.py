"""How actions are tried: warm-up, noise, and noise that goes away."""

from __future__ import annotations

import numpy as np
import pytest

from velora.core.types import Array
from velora.models.exploration import CorrelatedNoise

CALM = np.zeros((2, 1), np.float32)


def tried(exploration: CorrelatedNoise, n: int, *, first: int = 0, actions: Array = CALM) -> Array:
    return np.stack([exploration.act(actions, (0, 1), (n, n), ()) for n in range(first, first + n)])


def test_noise_has_its_deviation_and_correlation() -> None:
    noise = tried(CorrelatedNoise((1, 2), 1, std=0.1, correlation=0.8), 20_000)[1_000:, 0, 0]
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] == pytest.approx(0.8, abs=0.02)


def test_noise_goes_to_its_final_deviation_in_a_straight_line() -> None:
    exploration = CorrelatedNoise((1, 2), 1, std=0.2, final_std=0.05, decay_steps=1000, correlation=0.0)
    steady = CorrelatedNoise((1, 2), 1, std=0.2, correlation=0.0)
    for step, share in ((0, 1.0), (500, 0.625), (1000, 0.25), (50_000, 0.25)):
        both = [e.act(CALM, (0, 1), (step, step), ()) for e in (exploration, steady)]
        np.testing.assert_allclose(both[0], share * both[1], rtol=1e-5)


def test_each_seed_decays_by_its_own_steps() -> None:
    exploration = CorrelatedNoise((1, 2), 1, std=0.2, final_std=0.0, decay_steps=100, correlation=0.0)
    first, second = exploration.act(CALM, (0, 1), (0, 100), ())
    assert first != 0.0
    assert second == 0.0


def test_what_is_tried_stays_in_bounds_and_warm_up_is_uniform() -> None:
    exploration = CorrelatedNoise((1, 2), 1, std=5.0, correlation=0.0)
    noisy = tried(exploration, 200)
    assert noisy.min() == -1.0
    assert noisy.max() == 1.0
    random = np.stack([exploration.act(CALM + 1.0, (0, 1), (n, n), (1,)) for n in range(3000)])[:, 1, 0]
    assert -1.0 <= random.min() < -0.99
    assert 0.99 < random.max() <= 1.0
    assert random.mean() == pytest.approx(0.0, abs=0.05)


def test_the_noise_of_a_seed_that_is_done_stays_and_an_episode_begins_without() -> None:
    exploration = CorrelatedNoise((1, 2), 1, std=0.2, correlation=0.9)
    exploration.act(CALM, (0, 1), (0, 0), ())
    before = exploration.noise.copy()
    exploration.act(CALM, (0,), (1, 0), ())
    assert exploration.noise[1] == before[1]
    assert exploration.noise[0] != before[0]
    exploration.begin_episode(0)
    assert exploration.noise[0] == 0.0
