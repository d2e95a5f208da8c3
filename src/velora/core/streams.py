"""Random numbers by position: what is drawn at step n doesn't depend on how one got there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from velora.core import seeding
from velora.core.types import Array

BLOCK = 128
"""Positions that one generator draws for at a time."""


class Stream:
    """Give the random numbers of S seeds at any position, each decided by run seed, purpose and position alone.

    A resume has no generator to restore: it goes on at its position. Numbers are drawn in blocks ahead, which costs a
    fraction of drawing them one by one.

    Args:
        seeds: the run seeds (S).
        purpose: a short name such as ``"exploration"``.
        draw: fills an array from a generator, such as ``lambda g, out: g.random(out=out)``.
        shape: of the numbers at one position.
        dtype: of the numbers, such as ``np.float32``.

    Example:
        >>> stream = Stream((7,), "example", lambda g, out: g.random(out=out), (2,))
        >>> first = stream.at((0,)).copy()
        >>> _ = stream.at((5_000,))
        >>> bool((stream.at((0,)) == first).all())
        True
    """

    def __init__(
        self,
        seeds: Sequence[int],
        purpose: str,
        draw: Callable[[np.random.Generator, Array], object],
        shape: tuple[int, ...],
        *,
        dtype: type[np.generic] = np.float64,
    ) -> None:
        self._seeds, self._purpose, self._draw = tuple(seeds), purpose, draw
        self._numbers = np.empty((len(seeds), BLOCK, *shape), dtype=dtype)
        self._blocks = [-1] * len(seeds)
        self.newest: Array = np.empty((len(seeds), *shape), dtype=dtype)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on, into the same memory."""
        self._seeds, self._blocks = tuple(seeds), [-1] * len(self._blocks)

    def at(self, positions: Sequence[int]) -> Array:
        """Return every seed's numbers at its position, counted from 0.

        Shapes:
            positions: (S,).
            returns: (S, *shape); the same memory each time (``newest``).
        """
        first = positions[0]
        are_together = positions.count(first) == len(positions)  # unless a seed has stopped or begun later
        if not (are_together and self._blocks.count(first // BLOCK) == len(positions)):
            for k, position in enumerate(positions):
                if position // BLOCK != self._blocks[k]:
                    self._fill(k, position // BLOCK)
        if are_together:
            self.newest[...] = self._numbers[:, first % BLOCK]
        else:
            self.newest[...] = self._numbers[np.arange(len(positions)), [position % BLOCK for position in positions]]
        return self.newest

    def _fill(self, seed_index: int, block: int) -> None:
        seed = seeding.derive(self._seeds[seed_index], self._purpose, block)
        self._draw(np.random.Generator(np.random.PCG64(seed)), self._numbers[seed_index])
        self._blocks[seed_index] = block


class DeviceStream:
    """Give the numbers of a :class:`Stream` on a device, to the bit.

    They are drawn on the host, since generators of devices draw others, and cross over a block at a time.

    Attributes:
        newest: (S, *shape), what :meth:`at` wrote last; it stays in one place.

    Args:
        stream: what draws; nothing else may use it.
        device: where the numbers are wanted.

    Example:
        >>> stream = Stream((7,), "example", lambda g, out: g.random(out=out), (2,))
        >>> DeviceStream(stream, torch.device("cpu")).at((0,)).shape
        torch.Size([1, 2])
    """

    def __init__(self, stream: Stream, device: torch.device) -> None:
        self._stream = stream
        with torch.inference_mode(False):  # which would make memory that nothing else may write to
            self._numbers = torch.from_numpy(stream._numbers).to(device, copy=True)
            self.newest: Tensor = torch.from_numpy(stream.newest).to(device, copy=True)

    def reseed(self, seeds: Sequence[int]) -> None:
        """Draw for other run seeds from now on, into the same memory."""
        self._stream.reseed(seeds)

    def at(self, positions: Sequence[int]) -> Tensor:
        """Return every seed's numbers at its position; see :meth:`Stream.at`. Nothing waits for the device."""
        stream = self._stream
        for k, position in enumerate(positions):
            if position // BLOCK != stream._blocks[k]:
                stream._fill(k, position // BLOCK)
                self._numbers[k].copy_(torch.from_numpy(stream._numbers[k]), non_blocking=True)
        offsets = [position % BLOCK for position in positions]
        if offsets.count(offsets[0]) == len(offsets):
            self.newest.copy_(self._numbers[:, offsets[0]])
        else:
            for k, offset in enumerate(offsets):
                self.newest[k].copy_(self._numbers[k, offset])
        return self.newest
