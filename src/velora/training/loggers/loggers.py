"""The loggers of a run, which are Lightning's, and the Fabric that stock callbacks see."""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from velora.core.errors import SettingError
from velora.training.loggers.asked import Asked, Plan, asked_for, locate
from velora.training.loggers.facts import Facts, Row
from velora.training.loggers.outlet import Outlet

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)

LAST = ("best", "final")
"""Checkpoints that are sent at the end of a run, where that is asked for."""


class Loggers:
    """Send numbers, and more, to every logger of a run; one that fails is reported once, and gets nothing more.

    Attributes:
        all: the loggers that still write, in the user's order; none before :meth:`open` of those that Velora makes.
        is_described: the settings of the run were sent.

    Raises:
        SettingError: if that is no logger, or a package isn't installed.
    """

    def __init__(self, given: Asked) -> None:
        asked = asked_for(given)
        for one in asked:
            if isinstance(one, Plan):
                locate(type(one.kind))  # imports Lightning, for as_only_process
        self._outlets = [Outlet(one, self._drop) for one in asked]
        self.all: list[Logger] = [one for one in asked if not isinstance(one, Plan)]
        self.is_described = False
        self._last: dict[str, Path] = {}
        self._figures: tempfile.TemporaryDirectory[str] | None = None
        self._fabric: Fabric | None = None

    def open(self, *, run_id: str, run_dir: Path | None, is_resumed: bool, rows_until: Mapping[str, int]) -> None:
        """Make the loggers that were asked for by name, and open them, before the run.

        One that can't work ends a new run before it begins; a run that goes on does without it.

        Args:
            run_id: of the run.
            run_dir: its directory, if it has one.
            is_resumed: the run goes on.
            rows_until: as in :class:`velora.training.loggers.facts.Facts`.

        Raises:
            SettingError: if a logger can't work; the others are closed again.
        """
        before = random.getstate()  # some draw from Python's generator when they are imported, or to name something
        directory = Path("logs").absolute() / run_id if run_dir is None else run_dir
        name = run_id if run_dir is None else run_dir.name
        try:
            for outlet in tuple(self._outlets):
                facts = Facts(run_id, directory, name, outlet.group, is_resumed, dict(rows_until))
                try:
                    outlet.open(facts)
                except SettingError as error:
                    if not is_resumed:
                        self.finalize("failed")
                        raise
                    self._outlets.remove(outlet)
                    log.warning("%s; the run goes on without it, with all its rows in the metrics", error)
        finally:
            random.setstate(before)
        self.all[:] = [outlet.logger for outlet in self._outlets]

    def fabric(self, device: torch.device) -> Fabric:
        """Return Lightning's Fabric for the run's device, made when it is first needed: importing it takes seconds."""
        if self._fabric is None:
            self._fabric = _make_fabric(device, self.all)
        return self._fabric

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Send the settings of the run."""
        self.is_described = True
        for outlet in tuple(self._outlets):
            outlet.settings(settings)

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Send numbers that belong to a step."""
        row = Row(dict(metrics), step, time.time())
        for outlet in tuple(self._outlets):
            outlet.row(row)

    def log_video(self, name: str, path: Path, *, step: int) -> None:
        """Send a video file to those that can show or keep one."""
        for outlet in tuple(self._outlets):
            outlet.video(name, path, step)

    def log_figure(self, name: str, figure: Any, *, step: int) -> None:
        """Send a figure of Matplotlib's, or an image file, to those that can show one."""
        if not self._outlets:
            return
        path = Path(figure) if isinstance(figure, str | Path) else self._drawn(name, figure, step)
        for outlet in tuple(self._outlets):
            outlet.image(name, path.absolute(), step)

    def _drawn(self, name: str, figure: Any, step: int) -> Path:
        """Draw a figure now: it may change, or be closed, before its turn comes."""
        if self._figures is None:
            self._figures = tempfile.TemporaryDirectory(prefix="velora-figures-", ignore_cleanup_errors=True)
        path = Path(self._figures.name) / f"{name.replace('/', '-')}-step{step}.png"
        figure.savefig(path)
        return path

    def log_checkpoint(self, path: Path) -> None:
        """Send a checkpoint to those that were asked to keep every one, or remember it for the end."""
        seed = f"{path.parent.name}/" if path.parent.name.startswith("seed") else ""
        if path.name in LAST:
            self._last[seed + path.name] = path
        for outlet in tuple(self._outlets):
            if outlet.kind.sends_checkpoints == "all":
                outlet.checkpoint(seed + path.name, path)

    def finalize(self, status: str, *, is_hurried: Callable[[], bool] = lambda: True) -> None:
        """Close every logger.

        Args:
            status: ``"success"``, ``"failed"`` or ``"interrupted"``.
            is_hurried: whether to wait as short as possible for what isn't sent yet, asked for again and again.
        """
        for outlet in tuple(self._outlets):
            if outlet.kind.sends_checkpoints == "last":
                for name, path in self._last.items():
                    outlet.checkpoint(name, path)
        ending = [outlet for outlet in self._outlets if outlet.logger is not None]
        for outlet in ending:
            outlet.end(status)
        since = time.monotonic()
        for outlet in ending:
            outlet.wait(since, is_hurried=is_hurried)
        self._outlets.clear()
        if self._figures is not None:
            self._figures.cleanup()

    def _drop(self, outlet: Outlet) -> None:
        """Send nothing more to a logger that failed."""
        with suppress(ValueError):
            self._outlets.remove(outlet)
        with suppress(ValueError):
            self.all.remove(outlet.logger)


def as_numbers(metrics: Mapping[str, object]) -> dict[str, float]:
    """Turn what somebody logs into numbers: also a tensor, or an array, of one.

    Raises:
        SettingError: if something isn't a number.
    """
    numbers = {}
    for name, value in metrics.items():
        try:
            numbers[str(name)] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, RuntimeError):  # RuntimeError: of a tensor of several numbers
            raise SettingError(f"log: {name}: expected a number, got {value!r}") from None
    return numbers


@contextmanager
def as_only_process() -> Iterator[None]:
    """Let Lightning's loggers write, whatever ``RANK``, ``LOCAL_RANK`` or ``SLURM_PROCID`` say in the environment.

    Lightning reads from these that a process is one of many in a training of one model, of which only the first logs.
    A run of ours is alone, wherever a cluster or another launcher has started it.
    """
    module = sys.modules.get("lightning_utilities.core.rank_zero")
    if module is None:  # then nobody has made one of its loggers
        yield
        return
    before = getattr(module.rank_zero_only, "rank", 0)
    module.rank_zero_only.rank = 0
    try:
        yield
    finally:
        module.rank_zero_only.rank = before


def _make_fabric(device: torch.device, loggers: list[Logger]) -> Fabric:
    """Make Fabric, which keeps the very list of loggers."""
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    devices: Any = [device.index] if device.type == "cuda" and device.index is not None else 1
    alone = LightningEnvironment()  # nothing is read from SLURM's or another launcher's variables
    same: Any = loggers
    fabric = Fabric(accelerator=device.type, devices=devices, loggers=same, plugins=[alone])
    fabric.launch()
    return fabric
