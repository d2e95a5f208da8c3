"""Trackio, which keeps its runs in a database of the user's, or on a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from velora.training.loggers import reach
from velora.training.loggers.animation import playable
from velora.training.loggers.facts import Facts
from velora.training.loggers.kinds.base import NamedKind


class Trackio(NamedKind):
    """A run of Trackio for each run of ours, found again by its name, which ends in the beginning of our id."""

    name: ClassVar[str] = "trackio"
    target: ClassVar[str] = "velora.training.loggers.trackio_logger:TrackioLogger"
    needs: ClassVar[tuple[str, ...]] = ("trackio",)
    in_background: ClassVar[bool] = True

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Name the run, so that its parts go into one."""
        name = f"{facts.name}-{facts.run_id[:8]}"
        return {"project": os.environ.get("TRACKIO_PROJECT", "velora"), "name": name, "group": facts.group, **given}

    def prepare(self, keywords: dict[str, Any], facts: Facts) -> dict[str, Any]:
        """Look for the server, if there is to be one."""
        url = keywords.get("server_url") or os.environ.get("TRACKIO_SERVER_URL")
        if url and not keywords.get("space_id"):
            reach.check_answers(url)
        return keywords

    def remedy(self, keywords: Mapping[str, Any]) -> str:
        """Say how to do without a server."""
        return "start it, or leave server_url and TRACKIO_SERVER_URL out, to keep the run on this machine"

    def begin(self, logger: Any, facts: Facts) -> None:
        """Open the run."""
        _ = logger.experiment

    def video(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it; Trackio plays no WebP."""
        import trackio

        with playable(path) as file:
            logger.experiment.log({name: trackio.Video(str(file))}, step=step)

    def image(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it."""
        import trackio

        logger.experiment.log({name: trackio.Image(str(path))}, step=step)

    def checkpoint(self, logger: Any, name: str, directory: Path) -> None:
        """Keep it as an artifact."""
        name = f"{logger.experiment.name}-{name}".replace("/", "-")
        logger.experiment.log_artifact(str(directory), name=name, type="model")
