"""The kinds that write files: CSV and TensorBoard. They keep up with training, so they work in its thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from velora.training.loggers.animation import as_gif
from velora.training.loggers.facts import Facts, Row
from velora.training.loggers.kinds.base import NamedKind


class Csv(NamedKind):
    """A table, ``csv/metrics.csv``, with ``csv/hparams.yaml`` beside it."""

    name: ClassVar[str] = "csv"
    target: ClassVar[str] = "velora.training.loggers.csv_logger:CSVLogger"

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Let a resumed run go on in the same table."""
        return {"save_dir": str(facts.directory), "rows_until": dict(facts.rows_until), **given}


class TensorBoard(NamedKind):
    """Event files, ``tensorboard/events.*``."""

    name: ClassVar[str] = "tensorboard"
    target: ClassVar[str] = "lightning.pytorch.loggers:TensorBoardLogger"
    needs: ClassVar[tuple[str, ...]] = ("tensorboard", "tensorboardX")

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Let a resumed run hide what comes after its checkpoint, and is done again.

        One step counts for all seeds of a run: rows of a seed that stands behind are there twice rather than none of
        one that stands ahead.
        """
        kept = max(facts.rows_until.values())
        again = {"purge_step": kept + 1} if facts.is_resumed else {}
        return {"save_dir": str(facts.directory), "name": "tensorboard", "version": "", **again, **given}

    def settings(self, logger: Any, settings: Mapping[str, Any], facts: Facts) -> None:
        """Send the settings; those of a resumed run are there already."""
        if not facts.is_resumed:
            logger.log_hyperparams(dict(settings))
            logger.save()

    def rows(self, logger: Any, rows: Sequence[Row]) -> None:
        """Write numbers, and don't leave them in memory."""
        super().rows(logger, rows)
        logger.experiment.flush()

    def video(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it as an animated GIF, the one moving picture that TensorBoard knows."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        data, (width, height) = as_gif(path)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        logger.experiment._get_file_writer().add_summary(summary, step)
        logger.experiment.flush()

    def image(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            logger.experiment.add_image(name, np.asarray(image.convert("RGB")), step, dataformats="HWC")
        logger.experiment.flush()
