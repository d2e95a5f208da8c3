"""The loggers of a run, which are Lightning's, and the Fabric that reaches them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)


class Loggers:
    """Send numbers to every logger of a run.

    Attributes:
        all: the loggers, in the user's order.
    """

    def __init__(self, loggers: Logger | Sequence[Logger] | None) -> None:
        self.all = [] if loggers is None else list(loggers) if isinstance(loggers, Sequence) else [loggers]
        self._fabric: Fabric | None = None

    def fabric(self, device: torch.device) -> Fabric:
        """Return Lightning's Fabric for the run's device, made when it is first needed: importing it takes seconds."""
        if self._fabric is None:
            self._fabric = _make_fabric(device, self.all)
        return self._fabric

    def log(self, metrics: Mapping[str, float], *, step: int, device: torch.device) -> None:
        """Send numbers that belong to a step."""
        if self.all:
            self.fabric(device).log_dict(metrics, step=step)

    def finalize(self, *, is_success: bool) -> None:
        """Close every logger; one that fails is reported and keeps no other from closing."""
        for logger in self.all:
            try:
                logger.finalize("success" if is_success else "failed")
            except Exception:
                log.exception("a logger failed to close; the run's checkpoints and metrics are whole")


def _make_fabric(device: torch.device, loggers: Sequence[Logger]) -> Fabric:
    from lightning.fabric import Fabric

    devices: Any = [device.index] if device.type == "cuda" and device.index is not None else 1
    fabric = Fabric(accelerator=device.type, devices=devices, loggers=list(loggers))
    fabric.launch()
    return fabric
