"""Random numbers by position: what is drawn at step n doesn't depend on how one got there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

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
        dtype: float64 or float32.

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
        dtype: type[np.floating] = np.float64,
    ) -> None:
        self._seeds, self._purpose, self._draw = tuple(seeds), purpose, draw
        self._numbers = np.empty((len(seeds), BLOCK, *shape), dtype=dtype)
        self._blocks = [-1] * len(seeds)
        self.newest: Array = np.empty((len(seeds), *shape), dtype=dtype)

    def at(self, positions: Sequence[int]) -> Array:
        """Return every seed's numbers at its position, counted from 0.

        Shapes:
            positions: (S,).
            returns: (S, *shape); the same memory each time (``newest``).
        """
        for k, position in enumerate(positions):
            block, offset = divmod(position, BLOCK)
            if block != self._blocks[k]:
                generator = np.random.Generator(np.random.PCG64(seeding.derive(self._seeds[k], self._purpose, block)))
                self._draw(generator, self._numbers[k])
                self._blocks[k] = block
            self.newest[k] = self._numbers[k, offset]
        return self.newest
