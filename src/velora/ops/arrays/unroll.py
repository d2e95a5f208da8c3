"""A plan bound to memory: the operations of one forward and one backward call, taken down once and then run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.ops.arrays.cells import CfC, Dense, Extent, GRU, Part, PureCfC, sum_of_products
from velora.ops.arrays.lstm import LSTM
from velora.ops.arrays.ltc import LTC
from velora.ops.arrays.namespace import Emit, Namespace, Values
from velora.ops.arrays.packing import Packing
from velora.ops.arrays.program import Calls, do
from velora.ops.plan import Kind, Plan, ReadoutKind

_PARTS: dict[Kind, Any] = {
    Kind.CFC: CfC, Kind.CFC_NO_GATE: CfC, Kind.CFC_PURE: PureCfC, Kind.GRU: GRU, Kind.TANH: Dense, Kind.RELU: Dense,
    Kind.LSTM: LSTM, Kind.LTC: LTC,
}  # fmt: skip
