"""When a callback's turn has come again: at every so many episodes, steps or updates of a seed."""

from __future__ import annotations

from velora.core.errors import SettingError


class Cadence:
    """Tell of a count that only rises whether it has come to another multiple of a number.

    Nothing has to be saved of it: a run that goes on begins where it stands.

    Args:
        every: the number; ``None`` is never.
    """

    def __init__(self, every: int | None) -> None:
        self.every = every
        self._seen: dict[int, int] = {}

    def start(self, seed_index: int, count: int) -> None:
        """Begin where a seed stands."""
        self._seen[seed_index] = count

    def is_due(self, seed_index: int, count: int) -> bool:
        """Return whether a multiple was passed since the last look.

        Example:
            >>> cadence = Cadence(10)
            >>> cadence.start(0, 7)
            >>> [cadence.is_due(0, count) for count in (9, 10, 11, 25)]
            [False, True, False, True]
        """
        if self.every is None:
            return False
        before, self._seen[seed_index] = self._seen.get(seed_index, 0), count
        return count // self.every > before // self.every


def check_whole(name: str, value: object, *, least: int = 1, or_none: bool = False) -> None:
    """Check that a setting is a whole number.

    Raises:
        SettingError: if it isn't, or is too small.
    """
    if value is None and or_none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        none = " or None" if or_none else ""
        raise SettingError(f"{name}: expected a whole number >= {least}{none}, got {value!r}")
