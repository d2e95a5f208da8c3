"""One logger at work: in training's own thread, or in one beside it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velora.core.errors import SettingError, VeloraError
from velora.training.loggers import reach
from velora.training.loggers.asked import Plan
from velora.training.loggers.background import Background
from velora.training.loggers.facts import Facts, Row
from velora.training.loggers.kinds import Kind, kind_of

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)

OPENING_S = 60.0
"""Seconds that a logger may take until it works; a server that doesn't answer is found out in a few."""
ENDING_S, HURRIED_S = 30.0, 5.0
"""Seconds that a logger may take at the end of a run; of one that was interrupted, or whose server doesn't answer."""
_LONGEST = 200
"""Characters of somebody else's error that are shown: some servers answer with a page of HTML."""


class Outlet:
    """A logger, what Velora knows of its kind, and the thread that it works in, if it may wait for a server.

    A logger that fails is reported once, and gets nothing more.

    Args:
        asked: a logger, or a plan for one.
        failed: told that it failed for good.

    Attributes:
        logger: the logger, once it is open.
    """

    def __init__(self, asked: Plan | Logger, failed: Callable[[Outlet], object]) -> None:
        self._plan = asked if isinstance(asked, Plan) else None
        self.logger: Any = None if isinstance(asked, Plan) else asked
        self.kind: Kind = asked.kind if isinstance(asked, Plan) else kind_of(asked)
        if self._plan is None and self.kind.in_background:
            wish = getattr(asked, "_log_model", None)
            self.kind.sends_checkpoints = "last" if wish is True else wish or None
        self._failed = failed
        self._facts: Facts | None = None
        self._thread: Background | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self.logger).__name__ if self._plan is None else self._plan.kind.name

    @property
    def group(self) -> str | None:
        """The sweep that the run is a job of, if any."""
        return None if self._plan is None else self._plan.group

    def open(self, facts: Facts) -> None:
        """Make the logger, if Velora does, and open it.

        Raises:
            SettingError: if it can't work; the message says what to do.
        """
        self._facts = facts
        if self.kind.in_background:
            self._thread = Background(
                rows=lambda rows: self.kind.rows(self.logger, rows),
                may_pass=self.kind.may_pass,
                tell=self._tell,
                fail=lambda error: self._report(error, "in the background"),
            )
        if self._plan is None:
            return
        keywords = self._plan.keywords(facts)
        place = self._plan.kind.place(keywords)
        is_new = place is not None and not place.exists()
        try:
            self._at_once(lambda: self._make(self._plan, facts, keywords))
        except Exception as error:
            self.kind.release()
            if place is not None and is_new:
                shutil.rmtree(place, ignore_errors=True)
            raise self._explained(error, self._plan, keywords) from error

    def _make(self, plan: Any, facts: Facts, keywords: dict[str, Any]) -> None:
        self.logger = plan.make(**plan.kind.prepare(keywords, facts))
        self.kind.begin(self.logger, facts)

    def _at_once(self, act: Callable[[], None]) -> None:
        if self._thread is None:
            act()
        else:
            self._thread.call(act, limit_s=OPENING_S)

    @staticmethod
    def _explained(error: Exception, plan: Any, keywords: Mapping[str, Any]) -> SettingError:
        """Say in one line why a logger can't work, and what to do."""
        text = (str(error) or type(error).__name__).strip().partition("\n")[0]
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        if isinstance(error, VeloraError):
            return SettingError(text if text.startswith(plan.label) else f"{plan.label}: {text}")
        if not reach.is_unreachable(error):
            return SettingError(f"{plan.label}: can't be opened ({type(error).__name__}: {text})")
        place = keywords.get("tracking_uri") or keywords.get("server_url") or "its server"
        return SettingError(f"{plan.label}: {place} doesn't answer ({text}); {plan.kind.remedy(keywords)}")

    # ------------------------------------------------------------------------------------------------ what it is sent

    def settings(self, settings: Mapping[str, Any]) -> None:
        """Send the settings of the run."""
        facts, sent = self._facts, dict(settings)
        assert facts is not None
        self._do("the settings", lambda: self.kind.settings(self.logger, sent, facts))

    def row(self, row: Row) -> None:
        """Send numbers."""
        if self._thread is not None:
            self._thread.add(row)
        else:
            self._do(f"step {row.step:,}", lambda: self.kind.rows(self.logger, [row]))

    def video(self, name: str, path: Path, step: int) -> None:
        """Send a video."""
        self._do(f"the video of step {step:,}", lambda: self.kind.video(self.logger, name, path, step), extra=True)

    def image(self, name: str, path: Path, step: int) -> None:
        """Send an image."""
        self._do(f"the image of step {step:,}", lambda: self.kind.image(self.logger, name, path, step), extra=True)

    def checkpoint(self, name: str, directory: Path) -> None:
        """Send a checkpoint, if it is still there when its turn comes."""

        def send() -> None:
            if directory.is_dir():
                self.kind.checkpoint(self.logger, name, directory)

        self._do(f"the checkpoint {name}", send, extra=True)

    def end(self, status: str) -> None:
        """Close the logger, after all that it is still to get.

        Args:
            status: ``"success"``, ``"failed"`` or ``"interrupted"``.
        """
        self._do("the end", lambda: self.kind.end(self.logger, status=status, is_ours=self._plan is not None))

    def wait(self, since: float, *, is_hurried: Callable[[], bool]) -> None:
        """Wait until the logger is closed, for some seconds at most; tell what could not be sent.

        Args:
            since: when the waiting began, by ``time.monotonic()``.
            is_hurried: whether to wait as short as possible, asked for again and again.
        """
        thread = self._thread
        if thread is not None:
            thread.close(since, lambda: HURRIED_S if is_hurried() or thread.is_failing else ENDING_S)
            if thread.lost:
                log.warning(
                    "%s: %d rows could not be sent, after %.0f s of waiting at the end; the metrics have them",
                    self.name,
                    thread.lost,
                    time.monotonic() - since,
                )
        self.kind.release()

    def _do(self, what: str, act: Callable[[], object], *, extra: bool = False) -> None:
        """Do something in the logger's thread, or here.

        Args:
            what: what it is, for messages.
            act: what to do.
            extra: a failure costs this alone, and not the logger, unless nothing answers.
        """

        def bearing() -> None:
            try:
                act()
            except Exception as error:
                if not extra or (self._thread is not None and self.kind.may_pass(error)):
                    raise
                log.warning("%s: %s could not be sent (%s)", self.name, what, _said(error))

        if self._thread is not None:
            self._thread.add(bearing)
            return
        try:
            bearing()
        except Exception as error:  # noqa: BLE001 - of somebody's disk, which training must outlive
            self._report(error, f"at {what}")

    def _tell(self, error: Exception | None) -> None:
        if error is None:
            log.warning("%s: answers again; what waited is sent", self.name)
        else:
            log.warning(
                "%s: doesn't answer (%s); training goes on, what it should get waits and is tried again",
                self.name,
                _said(error),
            )

    def _report(self, error: Exception, when: str) -> None:
        log.warning(
            "%s failed %s (%s) and gets nothing more; the run goes on, with all its rows in the metrics",
            self.name,
            when,
            _said(error),
        )
        self._failed(self)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
