"""Let stock ``lightning.pytorch`` callbacks run unmodified: show them a trainer and a module of the shape they know."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from velora.callbacks.base import Callback
from velora.checkpoint import Checkpoint, atomic_save
from velora.core.errors import CheckpointError
from velora.core.protocols import TrainerView
from velora.training.waiting import Waiting

log = logging.getLogger(__name__)


class StepwiseTrainer(TrainerView, Protocol):
    """Trainer as the adapter needs it, beside what callbacks see."""

    waiting: Waiting
    """Requests that wait for the end of a step."""


def is_stock(callback: Any) -> bool:
    """Return whether a callback is Lightning's rather than ours."""
    return not isinstance(callback, Callback)


def views(trainer: StepwiseTrainer, networks: dict[str, nn.Module], fabric: Any) -> tuple[Any, Any]:
    """Make the ``(trainer, pl_module)`` that stock callbacks get.

    Supported, each with a test: LambdaCallback, Timer, EarlyStopping, ModelCheckpoint, ModelSummary, TQDMProgressBar.
    Those that reach into Lightning's private loops (learning rate finder, stochastic weight averaging, ...) are not.
    """
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        """Module with the networks, where a stock callback looks for parameters."""

        def __init__(self) -> None:
            super().__init__()
            for name, network in networks.items():
                self.add_module(name, network)

    return StockTrainer(trainer, fabric), Module()


class StockTrainer:
    """Present a Velora trainer by the public names of Lightning's: an epoch is an episode, a step is an update.

    ``callback_metrics`` holds ``return`` (of the newest episode), ``return_mean`` (of the window), ``evaluation``, and
    the losses of the newest update.
    """

    is_global_zero = True
    global_rank = 0
    world_size = 1
    sanity_checking = False
    fast_dev_run = False
    training = True
    val_check_interval = 1.0
    check_val_every_n_epoch = 1
    max_steps = -1
    num_training_batches = float("inf")
    num_val_batches: tuple[int, ...] = ()
    accumulate_grad_batches = 1
    lr_scheduler_configs: tuple[Any, ...] = ()
    ckpt_path = None

    def __init__(self, trainer: StepwiseTrainer, fabric: Any) -> None:
        from lightning.pytorch.trainer.states import RunningStage, TrainerFn, TrainerState

        self.velora = trainer
        self.strategy = StockStrategy(fabric.strategy, trainer.waiting)
        self.loggers = fabric.loggers
        self.state = TrainerState(fn=TrainerFn.FITTING, stage=RunningStage.TRAINING)
        self.max_epochs = trainer.n_episodes
        self.default_root_dir = str(trainer.run_dir or Path.cwd())

    @property
    def logger(self) -> Any:
        """The first logger, if any."""
        return self.loggers[0] if self.loggers else None

    @property
    def current_epoch(self) -> int:
        """Count from 0; at an episode's end it is still that episode's."""
        lane = self.velora.progress[0]
        return lane.episode if lane.is_running else max(0, lane.episode - 1)

    @property
    def global_step(self) -> int:
        """Updates so far."""
        return self.velora.update

    @property
    def should_stop(self) -> bool:
        """Whether the run is asked to stop."""
        return self.velora.should_stop

    @should_stop.setter
    def should_stop(self, wanted: bool) -> None:
        if wanted and not self.velora.should_stop:
            self.velora.stop("a Lightning callback set should_stop")

    @property
    def callback_metrics(self) -> dict[str, Tensor]:
        """Metrics that ``monitor=`` may name."""
        numbers = self.velora.losses()
        first, evaluation = self.velora.progress[0], self.velora.last_evaluation
        if first.last_return is not None:
            numbers |= {"return": first.last_return, "return_mean": first.window.mean}
        if evaluation is not None:
            numbers["evaluation"] = evaluation.mean
        return {name: torch.tensor(value, dtype=torch.float32, device="cpu") for name, value in numbers.items()}

    @property
    def progress_bar_metrics(self) -> dict[str, float]:
        """Metrics that a stock progress bar shows."""
        return {name: float(value) for name, value in self.callback_metrics.items()}

    def save_checkpoint(self, filepath: str, weights_only: bool | None = None) -> None:
        """Write a checkpoint directory of ours at the path that a stock callback chose."""
        self.velora.save(filepath, buffer=not weights_only)


class StockStrategy:
    """Fabric's strategy with the one method that stock callbacks miss in it."""

    def __init__(self, strategy: Any, waiting: Waiting) -> None:
        self._strategy, self._waiting = strategy, waiting

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._strategy, name)

    def remove_checkpoint(self, filepath: str) -> None:
        """Delete a checkpoint of ours, and nothing else; in the middle of a step after the one that replaces it."""
        path = Path(filepath).absolute()
        self._waiting.do(f"deleting {path}", lambda: _remove(path))


def _remove(path: Path) -> None:
    if not path.exists():
        return
    checkpoint = Checkpoint.open(path)
    try:
        atomic_save.check_target(checkpoint.path, overwrite=True)
    except CheckpointError as error:  # somebody's files are in it
        log.warning("not deleted: %s", error)
    else:
        shutil.rmtree(checkpoint.path)
