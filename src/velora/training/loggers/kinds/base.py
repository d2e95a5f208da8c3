"""A kind of logger: what is the same for all of them, and what each has a way of its own for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from velora.training.loggers import reach
from velora.training.loggers.facts import Facts, Row

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Kind:
    """Any logger of Lightning's shape, such as one of the user's own: it takes settings and rows, and nothing else.

    Attributes:
        in_background: it may wait for a server, so it works in a thread of its own.
        sends_checkpoints: ``"last"``: ``best`` and ``final`` at the end of a run; ``"all"``; ``None``.
    """

    in_background: ClassVar[bool] = False

    def __init__(self) -> None:
        self.sends_checkpoints: str | None = None

    def begin(self, logger: Logger, facts: Facts) -> None:
        """Open what the logger writes to, before the run."""

    def settings(self, logger: Logger, settings: Mapping[str, Any], facts: Facts) -> None:
        """Send the settings of the run."""
        logger.log_hyperparams(dict(settings))

    def rows(self, logger: Logger, rows: Sequence[Row]) -> None:
        """Send numbers."""
        for row in rows:
            logger.log_metrics(dict(row.metrics), step=row.step)

    def video(self, logger: Logger, name: str, path: Path, step: int) -> None:
        """Send a video; here it stays where it is."""

    def image(self, logger: Logger, name: str, path: Path, step: int) -> None:
        """Send an image; here it stays where it is."""

    def checkpoint(self, logger: Logger, name: str, directory: Path) -> None:
        """Send a checkpoint; here it stays where it is."""

    def end(self, logger: Logger, *, status: str, is_ours: bool) -> None:
        """Close the logger, or leave it open for more of the user's, who made it.

        Args:
            status: ``"success"``, ``"failed"`` or ``"interrupted"``.
            is_ours: Velora has made it.
        """
        logger.finalize("success" if status == "success" else "failed")

    def release(self) -> None:
        """Take back what was set for as long as the logger works."""

    def may_pass(self, error: Exception) -> bool:
        """Return whether to try again what failed: nothing answered, or the disk was full."""
        return reach.is_unreachable(error)


class NamedKind(Kind, ABC):
    """A kind that ``logger=<name>`` chooses, and that Velora makes.

    Attributes:
        name: in ``logger=<name>``, and of the extra that installs it.
        target: its class, as ``"module:Class"``.
        needs: packages of which one is installed with the extra; none if it needs no extra.
    """

    name: ClassVar[str]
    target: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords of the constructor: those of the user's, and what makes one run of its parts.

        Args:
            facts: of the run.
            given: keywords of the user's, without those that are ``None``; a copy.
        """

    def prepare(self, keywords: dict[str, Any], facts: Facts) -> dict[str, Any]:
        """Find out whether the logger can work, and return the keywords, completed.

        Raises:
            OSError: if its server doesn't answer.
            SettingError: if something is missing; the message says what to do.
        """
        return keywords

    def place(self, keywords: Mapping[str, Any]) -> Path | None:
        """Return the directory that it makes, which is removed again if it can't work and no run begins."""
        return None

    def remedy(self, keywords: Mapping[str, Any]) -> str:
        """Say what to do if its server doesn't answer."""
        return "leave it out"
