"""Policies for the tests of the C target: of every kind of layer, and one by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.unit.export.agents import of_variant
from velora.envs.actions import ActionBounds
from velora.export.describe import describe
from velora.export.policy import Layer, Origin, Policy, Readout
from velora.kernels.layers import Kind
from velora.kernels.plan import ReadoutKind
from velora.ops.choice import Choice


def of_cell(name: str, **settings: Any) -> Policy:
    """Describe an untrained agent with a cell, by its name in ``VARIANTS``."""
    return describe(of_variant(name, **settings))


def by_hand() -> Policy:
    """Make two neurons from a formula, the same on every machine; the second reads no input."""
    weight = ((np.arange(40) * 7 % 11 - 5) / 8.0).astype(np.float32).reshape(8, 5)
    weight.reshape(4, 2, 5)[:, 0, 1] = 0.0
    weight.reshape(4, 2, 5)[:, 1, :3] = 0.0
    bias = (np.arange(8) / 16.0).astype(np.float32)
    layer = Layer(Kind.CFC, 3, 2, 0, {"heads.weight": weight, "heads.bias": bias})
    readout = Readout(ReadoutKind.LINEAR, 0, 2, 1, np.array([[0.5, -0.25]], np.float32), np.zeros(1, np.float32))
    origin = Origin("LiquidTD3", "cfc", "Pendulum-v1", "0" * 64, "0.0.0")
    return Policy(3, 2, (layer,), readout, Choice.TANH, ActionBounds((-2.0,), (2.0,)), origin)
