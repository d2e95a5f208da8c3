"""The random numbers of updates."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from velora.core.types import Counters
from velora.models.draws import Draws


@pytest.mark.parametrize("on_device", [False, True])
def test_every_subset_is_drawn_alike(on_device: bool) -> None:
    progress = [Counters(), Counters()]
    draws = Draws((1, 2), progress, torch.device("cpu"), on_device=on_device)
    drawn = []
    for update in range(3_000):
        for lived in progress:
            lived.update = update
        drawn.append(draws.subset("critics", 2, 4).clone())
    assert drawn[0].shape == (2, 2)
    assert drawn[0].dtype == torch.int64
    for k in range(2):
        found = Counter(tuple(sorted(each[k].tolist())) for each in drawn)
        assert set(found) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
        assert all(abs(n - 500) < 90 for n in found.values())  # 4.4 deviations of a binomial
    assert any(not torch.equal(each[0], each[1]) for each in drawn)
    progress[1].update = 7
    alone = Draws((2,), [progress[1]], torch.device("cpu"), on_device=on_device).subset("critics", 2, 4)
    assert torch.equal(alone[0], drawn[7][1])
