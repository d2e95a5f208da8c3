"""A copy of a ring's rows that another thread finishes, while new rows come in."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np

from velora.core.types import Array

HEAD_ROWS: Final = 4096
"""Rows that are copied at once. New ones take longer to go over them than a thread to copy all the others."""


class RowsCopy:
    """A copy of the rows of one seed, as they are when it is made.

    New rows go over old ones in the order of the ring, so only those that come next in it must be copied before
    training goes on. The others follow in :meth:`finish`; should new rows come to them before, these wait.

    Shapes:
        source, rows: (size, row_width).

    Args:
        source: the rows of the ring.
        position: where the next new row goes, if the ring is full.

    Attributes:
        rows: the copy; whole after :meth:`finish`.
    """

    def __init__(self, source: Array, position: int) -> None:
        self.rows = np.empty_like(source)
        self._source = source
        size = len(source)
        self._left = min(size, HEAD_ROWS)
        begin = position % size if size else 0
        end = min(size, begin + self._left)
        wrapped = self._left - (end - begin)
        self._rest = (slice(wrapped, begin), slice(end, size))
        self._take(slice(begin, end), slice(wrapped))
        self._is_whole = threading.Event()

    def finish(self) -> None:
        """Copy all other rows; a thread may do this beside training."""
        self._take(*self._rest)
        self._is_whole.set()

    def make_room(self, n_rows: int) -> bool:
        """Wait until so many more rows may be written over; return whether all may, so that nobody has to ask again."""
        self._left -= n_rows
        if self._left < 0:
            self._is_whole.wait()
        return self._is_whole.is_set()

    def _take(self, *parts: slice) -> None:
        for part in parts:
            self.rows[part] = self._source[part]
