"""What is made from a file's settings is bounded by the file."""

from __future__ import annotations

import pytest
import torch

from velora.core import allowance
from velora.core.errors import SettingError
from velora.nn.linear import Linear
from velora.nn.wiring.kinds import make_wiring


def test_all_that_is_taken_counts_together() -> None:
    with allowance.bounded(1_000):
        for _ in range(2):
            allowance.take(8_000, "weights")
        with pytest.raises(SettingError, match=r"^weights: 8,000 numbers, more than the file"):
            allowance.take(8_000, "weights")
        allowance.take(4 * 1_000 + 16_384 - 16_000, "weights")
    allowance.take(10**12, "weights")


def test_blocks_are_independent() -> None:
    with allowance.bounded(0):
        with allowance.bounded(10**6):
            allowance.take(10**6, "weights")
        with pytest.raises(SettingError):
            allowance.take(10**6, "weights")


def test_weights_and_wirings_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with allowance.bounded(1_000):
        with pytest.raises(SettingError, match="wiring: 1,000,000 numbers"):
            make_wiring("ncp", 1_000_000, 12, 2)
        monkeypatch.setattr(torch, "empty", lambda *shape, **options: pytest.fail("memory was taken first"))
        with pytest.raises(SettingError, match="weights: 4,294,967,296 numbers"):
            Linear(65_536, 65_536, generators=[torch.Generator()])
