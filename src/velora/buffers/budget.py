"""Refuse a memory of experience that this machine can't hold, before any of it is made."""

from __future__ import annotations

from velora.core import ram
from velora.core.errors import SettingError

_BYTES = 4
_SMALLEST = 1_000
"""Transitions below which a smaller buffer isn't worth proposing."""


def check_memory(
    n_seeds: int,
    *,
    capacity: int,
    row_width: int,
    purpose: str = "replay",
    setting: str = "buffer_size",
    available: int | None = None,
) -> None:
    """Compare what the memory of several seeds will take with what there is.

    Args:
        n_seeds: agents trained side by side (S).
        capacity: transitions kept for each.
        row_width: numbers in one transition, as float32.
        purpose: what the memory is for, and ``setting``, what its capacity is called; for the error.
        available: bytes that may be taken; ``None`` is what this machine has.

    Raises:
        SettingError: if there is less; the message says how much, and what to lower.
    """
    available = ram.available_bytes() if available is None else available
    each = capacity * row_width * _BYTES
    if available is None or n_seeds * each <= available:
        return
    most, smaller = available // each, _rounded_down(available // (n_seeds * row_width * _BYTES))
    ways = [f"train at most {most:,} at a time"] if most else []
    ways += [f"lower {setting} to {smaller:,}"] if smaller >= _SMALLEST else []
    rows = f"{capacity:,} transitions of {row_width} numbers each"
    if n_seeds == 1:
        raise SettingError(
            f"{setting}: {rows} need {ram.readable(each)} of memory for {purpose}, {ram.readable(available)} are "
            f"available; lower {setting}{f' to {smaller:,}' if smaller >= _SMALLEST else ''}"
        )
    raise SettingError(
        f"seeds: {n_seeds:,} seeds need {ram.readable(n_seeds * each)} of memory for {purpose} ({rows}), "
        f"{ram.readable(available)} are available; "
        f"{' or '.join(ways) or f'train fewer seeds with a smaller {setting}'}"
    )


def _rounded_down(number: int) -> int:
    """Keep the first two digits."""
    step = 10 ** max(0, len(str(number)) - 2)
    return int(number // step * step)
