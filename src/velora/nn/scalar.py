"""One trained number for each seed."""

from __future__ import annotations

from typing import final

import torch
from torch import nn


@final
class Scalar(nn.Module):
    """Hold a number that is trained and that nothing goes into.

    Shapes:
        value: (S, 1).
    """

    def __init__(self, n_seeds: int, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.full((n_seeds, 1), value))
