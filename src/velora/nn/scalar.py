"""One trained number for each seed."""

from __future__ import annotations

from typing import final

from torch import nn

from velora.nn.initial import full


@final
class Scalar(nn.Module):
    """Hold a number that is trained and that nothing goes into.

    Shapes:
        value: (S, 1).
    """

    def __init__(self, n_seeds: int, value: float) -> None:
        super().__init__()
        self.value = full(n_seeds, 1, value=value)
