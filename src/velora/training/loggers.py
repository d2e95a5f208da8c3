"""The loggers of a run, which are Lightning's, and the Fabric that stock callbacks see."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from velora.core.errors import SettingError

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)


class Loggers:
    """Send numbers to every logger of a run; one that raises is reported once, and gets nothing more.

    Attributes:
        all: the loggers that still write, in the user's order.
    """

    def __init__(self, loggers: Logger | Sequence[Logger] | None) -> None:
        self.all = [] if loggers is None else list(loggers) if isinstance(loggers, Sequence) else [loggers]
        self._fabric: Fabric | None = None

    def fabric(self, device: torch.device) -> Fabric:
        """Return Lightning's Fabric for the run's device, made when it is first needed: importing it takes seconds."""
        if self._fabric is None:
            self._fabric = _make_fabric(device, self.all)
        return self._fabric

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Send the settings of the run."""
        self._send("the settings", lambda logger: logger.log_hyperparams(dict(settings)))

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Send numbers that belong to a step."""
        self._send(f"step {step:,}", lambda logger: logger.log_metrics(dict(metrics), step=step))

    def finalize(self, *, is_success: bool) -> None:
        """Close every logger."""
        self._send("the end", lambda logger: logger.finalize("success" if is_success else "failed"))

    def _send(self, when: str, act: Callable[[Logger], object]) -> None:
        """Do something with every logger, and drop those that fail in it."""
        for logger in tuple(self.all):
            try:
                act(logger)
            except Exception as error:  # noqa: BLE001 - of somebody's server or disk, which training must outlive
                self.all.remove(logger)
                log.warning(
                    "%s failed at %s (%s: %s) and gets nothing more; the run goes on, with all its rows in the metrics",
                    type(logger).__name__,
                    when,
                    type(error).__name__,
                    str(error).partition("\n")[0],
                )


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


def _make_fabric(device: torch.device, loggers: Sequence[Logger]) -> Fabric:
    from lightning.fabric import Fabric
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    devices: Any = [device.index] if device.type == "cuda" and device.index is not None else 1
    alone = LightningEnvironment()  # nothing is read from SLURM's or another launcher's variables
    fabric = Fabric(accelerator=device.type, devices=devices, loggers=list(loggers), plugins=[alone])
    fabric.launch()
    return fabric
