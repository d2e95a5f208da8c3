"""Weights & Biases, on its server or offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from velora.core.errors import SettingError
from velora.training.loggers import reach
from velora.training.loggers.animation import playable
from velora.training.loggers.facts import Facts
from velora.training.loggers.kinds.base import NamedKind

_OFFLINE = ("offline", "dryrun", "disabled")


class Wandb(NamedKind):
    """A run of W&B for each run of ours."""

    name: ClassVar[str] = "wandb"
    target: ClassVar[str] = "lightning.pytorch.loggers:WandbLogger"
    needs: ClassVar[tuple[str, ...]] = ("wandb",)
    in_background: ClassVar[bool] = True

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Name the run by ours, so that W&B takes its parts for one run, and share nothing with other runs.

        ``offline`` becomes ``mode``: Lightning would set a variable of the whole process for it.
        """
        offline = given.pop("offline", False)
        calm = {"silent": True, "console": "off", "init_timeout": 30.0, "finish_timeout": 20.0}
        return {
            "project": os.environ.get("WANDB_PROJECT", "velora"),
            "name": facts.name,
            "id": facts.run_id,
            "resume": "allow",
            "group": facts.group,
            "save_dir": str(facts.directory),
            "reinit": "create_new",
            **({"mode": "offline"} if offline else {}),
            **given,
            "settings": {**calm, **given.get("settings", {})},
        }

    def prepare(self, keywords: dict[str, Any], facts: Facts) -> dict[str, Any]:
        """Look for the server and for a key to it, unless W&B is offline; W&B would ask for a key on the terminal."""
        Path(keywords["save_dir"]).mkdir(parents=True, exist_ok=True)
        if keywords.get("mode", os.environ.get("WANDB_MODE")) in _OFFLINE:
            return keywords
        import wandb
        from wandb.sdk.lib import wbauth

        url = keywords["settings"].get("base_url") or wandb.setup().settings.base_url
        reach.check_answers(url)
        if keywords["settings"].get("api_key"):
            return keywords
        if not wbauth.authenticate_session(host=url, source="velora", prompt=False, update_session=False):
            raise SettingError(f"there is no key for {url}; run: wandb login, or set WANDB_API_KEY")
        return keywords

    def place(self, keywords: Mapping[str, Any]) -> Path | None:
        """Return the directory of W&B."""
        return Path(keywords["save_dir"]) / "wandb"

    def remedy(self, keywords: Mapping[str, Any]) -> str:
        """Say how to write offline."""
        return "write offline with WANDB_MODE=offline, and send it later by: wandb sync"

    def begin(self, logger: Any, facts: Facts) -> None:
        """Open a run, or write into the one that the user has open already: Lightning takes that."""
        import wandb

        self._is_the_users = wandb.run is not None
        getattr(logger, "_wandb_init", {}).pop("anonymous", None)  # Lightning's; W&B warns of it
        _ = logger.experiment

    def video(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it; W&B plays no WebP."""
        with playable(path) as file:
            logger.log_video(name, [str(file)], step=step)

    def image(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it."""
        logger.log_image(name, [str(path)], step=step)

    def checkpoint(self, logger: Any, name: str, directory: Path) -> None:
        """Keep it as an artifact, ``<run>-<name>``."""
        import wandb

        artifact = wandb.Artifact(f"{logger.experiment.id}-{name.replace('/', '-')}", type="model")
        artifact.add_dir(str(directory))
        logger.experiment.log_artifact(artifact)

    def end(self, logger: Any, *, status: str, is_ours: bool) -> None:
        """End W&B's run: otherwise the next one in this process would be taken for the same."""
        logger.finalize("success" if status == "success" else "failed")
        if is_ours and not self._is_the_users:
            logger.experiment.finish(exit_code=0 if status == "success" else 1)
