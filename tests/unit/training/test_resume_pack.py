"""The state of global generators goes back whatever memory holds it."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from velora.training.resume.codec import global_generators, set_global_generators


def _inside_of_a_file(values: Tensor) -> Tensor:
    """Show values as a part of larger memory, as they lie where a file has been read."""
    return torch.cat((torch.ones(16, dtype=values.dtype), values))[16:]


def test_a_state_that_lies_inside_of_larger_memory_is_taken_over() -> None:
    saved = global_generators()
    expected = random.random(), np.random.rand(), torch.rand(3)  # noqa: NPY002 - a user's own
    set_global_generators({**saved, "torch": _inside_of_a_file(saved["torch"])})
    assert (random.random(), np.random.rand()) == expected[:2]  # noqa: NPY002
    assert torch.equal(torch.rand(3), expected[2])
