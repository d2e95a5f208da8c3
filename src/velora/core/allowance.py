"""Bound on what is made from the settings in a file: not much more than the file itself can fill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from velora.core.errors import SettingError

LEEWAY: Final = 4
"""So many times the numbers of the file may be made: copies, masks, a network that only tells its size."""
SMALL: Final = 1 << 14
"""So many more may be made whatever the file holds."""


@dataclass(slots=True)
class _Allowance:
    """How many numbers may still be made."""

    left: int


_current: ContextVar[_Allowance | None] = ContextVar("what may be made from a file's settings", default=None)


@contextmanager
def bounded(n_numbers: int) -> Iterator[None]:
    """Make things from the settings of a file that holds so many numbers: what asks for more than those is refused.

    Settings are a few bytes and can ask for any amount of memory. Whoever allocates by them calls :func:`take` before.

    Example:
        >>> with bounded(10):
        ...     take(1_000, "weights")
        ...     take(1_000_000, "weights")
        Traceback (most recent call last):
        ...
        velora.core.errors.SettingError: weights: 1,000,000 numbers, more than the file with these settings fills
    """
    token = _current.set(_Allowance(LEEWAY * n_numbers + SMALL))
    try:
        yield
    finally:
        _current.reset(token)


def take(n_numbers: int, what: str) -> None:
    """Count numbers that are about to be made; outside of :func:`bounded` this does nothing.

    Args:
        n_numbers: how many.
        what: the name that an error begins with.

    Raises:
        SettingError: if they are more than the block may still make.
    """
    allowance = _current.get()
    if allowance is None:
        return
    if n_numbers > allowance.left:
        raise SettingError(f"{what}: {n_numbers:,} numbers, more than the file with these settings fills")
    allowance.left -= n_numbers
