"""What running a network gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """What a run gave; ``None`` where it wasn't asked for.

    Shapes:
        out: (S, B, T, K). states: (S, B, T, H). last: (S, B, H).
    """

    out: Tensor | None
    states: Tensor | None
    last: Tensor | None
