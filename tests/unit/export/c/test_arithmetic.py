"""The functions in whole numbers are those of mathematics, as far as float32 can tell."""

from __future__ import annotations

import numpy as np

from velora.export.c.arithmetic import Arithmetic
from velora.export.replay import sigmoid, softplus

F = Arithmetic()
HUGE = np.float32(3e38)


def some(most: float) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=20_000)
    return np.concatenate((np.linspace(-most, most, 20_001), drawn, drawn * 1e-6, [0.0, -0.0])).astype(np.float32)


def test_sigmoid_and_tanh() -> None:
    x = some(40)
    assert np.abs(F.sigmoid(x) - sigmoid(x.astype(float))).max() < 7e-8
    assert np.abs(F.tanh_of(x) - np.tanh(x.astype(float))).max() < 8e-8


def test_they_are_exact_where_it_counts() -> None:
    x = np.array([0.0, -0.0, 30.0, -30.0, HUGE, -HUGE, np.inf, -np.inf], np.float32)
    assert F.sigmoid(x).tolist() == [0.5, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert F.tanh_of(x).tolist() == [0.0, 0.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]


def test_blends() -> None:
    a, b, gate = (np.random.default_rng(k).normal(scale=3.0, size=20_000).astype(np.float32) for k in range(3))
    exact, g = [np.tanh(one.astype(float)) for one in (a, b)], sigmoid(gate.astype(float))
    assert np.abs(F.blend(a, b, gate) - ((1 - g) * exact[0] + g * exact[1])).max() < 1e-7
    assert np.abs(F.blend_no_gate(a, b, gate) - (exact[0] + g * exact[1])).max() < 2e-7


def test_decay_and_softplus_have_small_relative_errors() -> None:
    x = some(50)
    exact = np.exp(-np.abs(x.astype(float)))
    assert (np.abs(F.decay(x) - exact) / exact).max() < 2e-7
    assert F.decay(np.array([0.0, 64.0, HUGE], np.float32)).tolist() == [1.0, 0.0, 0.0]
    exact = softplus(x.astype(float))
    assert (np.abs(F.softplus(x) - exact) / exact).max() < 4e-7
    assert F.softplus(np.array([-HUGE, HUGE], np.float32)).tolist() == [0.0, float(HUGE)]


def test_log() -> None:
    x = np.exp(np.linspace(np.log(1e-6), np.log(1e6), 20_001)).astype(np.float32)
    assert np.abs(F.log_of(x) - np.log(x.astype(float))).max() < 2e-6
    assert F.log_of(np.array([1.0], np.float32)).tolist() == [0.0]
