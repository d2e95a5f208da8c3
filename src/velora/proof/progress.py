"""What a proof tells while it goes on."""

from __future__ import annotations

from typing import Protocol

from velora.proof.results import TargetResult


class Progress(Protocol):
    """Listener of a proof."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """Take note of a part that begins; the part before has ended.

        Args:
            what: its name.
            total: how far it goes.
            unit: of what, in the singular.
        """
        ...

    def advance(self, n: int = 1) -> None:
        """Take note of n more."""
        ...

    def tell(self, result: TargetResult) -> None:
        """Take note of a target that is done."""
        ...


class Silent:
    """A listener that tells nobody."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """See :class:`Progress`."""

    def advance(self, n: int = 1) -> None:
        """See :class:`Progress`."""

    def tell(self, result: TargetResult) -> None:
        """See :class:`Progress`."""
