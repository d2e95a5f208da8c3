"""Progress of an export, or of an audit, as listeners are told it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener of an export, or of an audit."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """Take note of a part that begins, how far it goes, and in what unit, in the singular."""
        ...

    def advance(self, n: int = 1) -> None:
        """Take note of n more."""
        ...


class Silent:
    """A listener that tells nobody."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """See :class:`Progress`."""

    def advance(self, n: int = 1) -> None:
        """See :class:`Progress`."""
