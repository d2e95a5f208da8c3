"""Principal components and linear probes, beside the same done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from velora.audit.states import principal_shares, probe, with_previous
from velora.core.errors import ShapeError


def test_principal_shares_are_eigenvalues_of_the_covariance() -> None:
    states = np.random.default_rng(0).normal(size=(200, 5)) @ np.diag([5.0, 2.0, 1.0, 0.5, 0.0]) + 3.0
    values = np.sort(np.linalg.eigvalsh(np.cov(states.T)))[::-1]
    np.testing.assert_allclose(principal_shares(states), values / values.sum(), atol=1e-12)


def test_states_that_stand_still_have_no_components() -> None:
    assert principal_shares(np.full((10, 3), 2.0)).tolist() == [0.0, 0.0, 0.0]


def test_a_line_has_one_component() -> None:
    line = np.linspace(0.0, 1.0, 20)[:, None] * np.array([1.0, -2.0])
    np.testing.assert_allclose(principal_shares(line), [1.0, 0.0], atol=1e-12)


def test_a_probe_is_least_squares_on_the_other_episodes() -> None:
    chance = np.random.default_rng(1)
    features = [chance.normal(size=(n, 3)) for n in (20, 30, 25)]
    targets = [x @ np.array([[1.0], [2.0], [0.0]]) + chance.normal(size=(len(x), 1)) for x in features]
    missed = 0.0
    for held in range(3):
        x = np.concatenate([one for k, one in enumerate(features) if k != held])
        y = np.concatenate([one for k, one in enumerate(targets) if k != held])
        weight = np.linalg.lstsq(np.column_stack((x, np.ones(len(x)))), y, rcond=None)[0]
        own = np.column_stack((features[held], np.ones(len(features[held]))))
        missed += float(((targets[held] - own @ weight) ** 2).sum())
    whole = np.concatenate(targets)
    expected = 1.0 - missed / ((whole - whole.mean()) ** 2).sum()
    assert probe(features, targets)[0] == pytest.approx(expected, abs=1e-9)
    assert 0.7 < expected < 0.95


def test_a_probe_finds_what_is_there_and_nothing_else() -> None:
    chance = np.random.default_rng(2)
    features = [chance.normal(size=(50, 2)) for _ in range(4)]
    targets = [np.column_stack((x[:, 0] - 3.0, chance.normal(size=50), np.full(50, 7.0))) for x in features]
    linear, unrelated, constant = probe(features, targets)
    assert linear == pytest.approx(1.0)
    assert unrelated < 0.1
    assert np.isnan(constant)


def test_a_probe_that_only_knows_an_episode_by_heart_is_below_zero() -> None:
    features = [np.full((10, 1), k) + 1e-3 * np.arange(10.0)[:, None] for k in range(3)]
    targets = [np.full((10, 1), float(k == 1)) + 1e-6 * np.arange(10.0)[:, None] for k in range(3)]
    assert probe(features, targets)[0] < 0.0


def test_one_episode_cant_be_held_out() -> None:
    with pytest.raises(ShapeError, match="two or more episodes"):
        probe([np.zeros((5, 1))], [np.zeros((5, 1))])


def test_the_row_before_stands_beside_each() -> None:
    assert with_previous(np.array([[1.0], [2.0], [3.0]])).tolist() == [[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]]
