"""The random numbers of updates, which seed, purpose and the number of the update alone decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from velora.core.streams import DeviceStream, Stream
from velora.core.types import Array, Counters
from velora.kernels.arrays.namespace import Values
from velora.kernels.arrays.program import do
from velora.kernels.recording_guard import unguarded

Draw: TypeAlias = Callable[[np.random.Generator, Array], object]
"""Fills an array from a generator."""


class Draws:
    """Random numbers for each update of every seed, in memory that stays where it is, so that programs can read them.

    Args:
        seeds: the run seeds (S).
        progress: of every seed; its ``update`` is the position of the numbers.
        device: where an update computes.
        on_device: whether numbers are kept there, or on the host.
    """

    def __init__(
        self, seeds: Sequence[int], progress: list[Counters], device: torch.device, *, on_device: bool
    ) -> None:
        self._seeds, self._progress, self._device, self._on_device = seeds, progress, device, on_device
        self._streams: dict[tuple[str, tuple[int, ...]], Stream | DeviceStream] = {}

    def uniform(self, purpose: str, *shape: int) -> Values:
        """Draw float64 numbers in [0, 1), (S, *shape): a NumPy array, or a tensor where they are kept on the device."""
        return self.draw(purpose, shape, lambda g, out: g.random(out=out), np.float64)

    def normal(self, purpose: str, *shape: int) -> Tensor:
        """Draw standard normal numbers, (S, *shape) on the device; a program draws them anew at every replay."""
        return self._there(
            self.draw(purpose, shape, lambda g, out: g.standard_normal(dtype=np.float32, out=out), np.float32)
        )

    def subset(self, purpose: str, size: int, n: int) -> Tensor:
        """Draw ``size`` of the numbers 0 to n - 1, each subset alike: (S, size), int64 on the device, as above."""

        def choose(g: np.random.Generator, out: Array) -> None:
            out[...] = g.random((len(out), n)).argsort(1)[:, :size]

        return self._there(self.draw(purpose, (size,), choose, np.int64))

    def _there(self, drawn: Values) -> Tensor:
        if isinstance(drawn, Tensor):
            return drawn
        here = torch.from_numpy(drawn)
        if self._device.type == "cpu":
            return here
        there = here.to(self._device)
        do(there.copy_, here)
        return there

    def draw(self, purpose: str, shape: tuple[int, ...], draw: Draw, dtype: type[np.generic]) -> Values:
        """Draw numbers of any kind, such as the indices of a random subset.

        Shapes:
            returns: (S, *shape), where numbers are kept; the same memory at every call.

        Args:
            purpose: sets these numbers apart from all others.
            draw: fills an array of many positions, (N, *shape), at once.
        """
        stream = self._streams.get((purpose, shape))
        if stream is None:
            stream = self._streams[purpose, shape] = self._make(Stream(self._seeds, purpose, draw, shape, dtype=dtype))
        with unguarded() if self._on_device else nullcontext():
            return stream.at(self._positions())

    def _make(self, stream: Stream) -> Stream | DeviceStream:
        if not self._on_device:
            return stream
        with unguarded():
            return DeviceStream(stream, self._device)

    def advance(self) -> None:
        """Draw all numbers of the update that comes next, for a program that reads them."""
        positions = self._positions()
        for stream in self._streams.values():
            stream.at(positions)

    def _positions(self) -> list[int]:
        return [lived.update for lived in self._progress]

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on, into the same memory."""
        self._seeds = seeds
        for stream in self._streams.values():
            stream.reseed(seeds)
