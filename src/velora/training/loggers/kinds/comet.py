"""Comet, on its server or offline."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from velora.core.errors import SettingError
from velora.training.loggers import reach
from velora.training.loggers.animation import as_gif
from velora.training.loggers.facts import Facts
from velora.training.loggers.kinds.base import NamedKind
from velora.training.loggers.kinds.variables import Variables


class Comet(NamedKind):
    """An experiment of Comet for each run. Comet keeps one open in a process: a second one at a time ends the first."""

    name: ClassVar[str] = "comet"
    target: ClassVar[str] = "lightning.pytorch.loggers:CometLogger"
    needs: ClassVar[tuple[str, ...]] = ("comet_ml",)
    in_background: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        # Comet would tell its makers of errors over the network, when it is offline too.
        self._quiet = Variables({"COMET_ERROR_TRACKING_ENABLE": "false"})

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Make a key of the run's id, which has half of the digits that Comet asks for.

        ``online=False`` becomes 0: for that very ``False`` Lightning switches Comet off altogether, and nothing is
        written.
        """
        is_online = given.pop("online", os.environ.get("COMET_START_ONLINE", "1").lower() not in ("0", "false", "no"))
        tags = [] if facts.group is None else [facts.group]
        return {
            "project": os.environ.get("COMET_PROJECT_NAME", "velora"),
            "experiment_key": 2 * facts.run_id,
            "online": 1 if is_online else 0,
            "name": facts.name,
            "offline_directory": str(facts.directory / "comet"),
            "log_code": False,
            "parse_args": False,
            "auto_output_logging": False,
            "display_summary_level": 0,
            **given,
            "tags": [*tags, *given.get("tags", [])],
        }

    def prepare(self, keywords: dict[str, Any], facts: Facts) -> dict[str, Any]:
        """Look for the server and for a key to it, unless Comet is offline."""
        self._quiet.hold()
        self.place(keywords).mkdir(parents=True, exist_ok=True)
        if not keywords["online"]:
            return keywords
        from comet_ml.config import get_api_key, get_comet_url_override, get_config

        reach.check_answers(get_comet_url_override(get_config()))
        if get_api_key(keywords.get("api_key"), get_config()) is None:
            raise SettingError("there is no key for Comet; run: comet login, or set COMET_API_KEY")
        return keywords

    def place(self, keywords: Mapping[str, Any]) -> Path:
        """Return the directory of what isn't sent."""
        return Path(keywords["offline_directory"])

    def remedy(self, keywords: Mapping[str, Any]) -> str:
        """Say how to write offline."""
        return "write offline with COMET_START_ONLINE=0, and send it later by: comet upload"

    def video(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Keep it as an asset; Comet takes no WebP."""
        if path.suffix.lower() != ".webp":
            logger.experiment.log_video(str(path), name=f"{name}-step{step}{path.suffix}", step=step)
            return
        gif = io.BytesIO(as_gif(path)[0])
        logger.experiment.log_video(gif, name=f"{name}-step{step}.gif", format="gif", step=step)

    def image(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it."""
        logger.experiment.log_image(str(path), name=name, step=step)

    def checkpoint(self, logger: Any, name: str, directory: Path) -> None:
        """Keep it as a model."""
        logger.experiment.log_model(name.replace("/", "-"), str(directory))

    def end(self, logger: Any, *, status: str, is_ours: bool) -> None:
        """End the experiment; without that an offline one isn't written."""
        logger.finalize("success" if status == "success" else "failed")
        if is_ours:
            logger.experiment.end()

    def release(self) -> None:
        """Leave the variable as it was."""
        self._quiet.release()
