"""The trainer and the module that stock ``lightning.pytorch`` callbacks see, of the shape they know."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor

from velora.checkpoint import Checkpoint, atomic_save
from velora.core.errors import CheckpointError, VeloraError
from velora.core.protocols import TrainerView
from velora.training.protocol import TrainableAgent
from velora.training.stock_list import is_stock, lineage
from velora.training.waiting import Waiting

log = logging.getLogger(__name__)

EVALUATION = "evaluation"
MONITORS = ("return", "return_mean", EVALUATION)
"""What ``monitor=`` may name beside the losses and what callbacks log."""


class MissingPartError(VeloraError, AttributeError):
    """Error of a callback that reaches into a part of Lightning's trainer which a run here doesn't have."""


class StepwiseTrainer(TrainerView, Protocol):
    """Trainer as the adapter needs it, beside what callbacks see."""

    callbacks: list[Any]
    waiting: Waiting
    """Requests that wait for the end of a step."""


def bars(callbacks: Sequence[Any]) -> list[Any]:
    """List the progress bars of Lightning's."""
    return [c for c in callbacks if is_stock(c) and "ProgressBar" in lineage(c)]


def make_module(view: StockTrainer, agent: TrainableAgent) -> Any:
    """Make the ``pl_module`` that stock callbacks get."""
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        """Module with the networks, where a stock callback looks for parameters."""

        def __init__(self) -> None:
            super().__init__()
            for name, network in agent.networks.items():
                self.add_module(name, network)

        @property
        def device(self) -> torch.device:
            """Where the networks are."""
            return agent.device

        def log(self, name: str, value: Any, *_: Any, **__: Any) -> None:
            """Send a number to the metrics and the loggers; ``monitor=`` may name it from then on."""
            view.keep({name: value})

        def log_dict(self, dictionary: Any, *_: Any, **__: Any) -> None:
            """Send several."""
            view.keep(dictionary)

        def optimizers(self, use_pl_optimizer: bool = True) -> Any:
            """List the optimizers."""
            return view.optimizers

        def lr_schedulers(self) -> None:
            """Return none: :class:`velora.callbacks.Schedule` changes learning rates."""

    module = Module()
    module.trainer = view  # type: ignore[assignment]
    return module


class StockTrainer:
    """Present a Velora trainer by the public names of Lightning's: an epoch is an episode, a step is an update.

    ``callback_metrics`` holds ``return`` (of the newest episode), ``return_mean`` (of the window), ``evaluation``, the
    losses of the newest update, and what callbacks have sent to ``pl_module.log``. With several seeds they are the
    first one's.
    """

    is_global_zero = True
    global_rank = 0
    local_rank = 0
    world_size = 1
    num_nodes = 1
    num_devices = 1
    precision = "32"
    sanity_checking = False
    fast_dev_run = False
    training = True
    validating = False
    testing = False
    predicting = False
    val_check_interval = 1.0
    check_val_every_n_epoch = 1
    enable_validation = False
    max_steps = -1
    min_epochs = None
    min_steps = None
    max_time = None
    num_training_batches = float("inf")
    num_val_batches: tuple[int, ...] = ()
    num_sanity_val_batches: tuple[int, ...] = ()
    accumulate_grad_batches = 1
    lr_scheduler_configs: tuple[Any, ...] = ()
    ckpt_path = None

    def __init__(self, trainer: StepwiseTrainer, agent: TrainableAgent, fabric: Any) -> None:
        from lightning.pytorch.trainer.states import RunningStage, TrainerFn, TrainerState

        self.velora, self._agent = trainer, agent
        self.strategy = StockStrategy(fabric.strategy, trainer.waiting)
        self.loggers = fabric.loggers
        self.state = TrainerState(fn=TrainerFn.FITTING, stage=RunningStage.TRAINING)
        self.max_epochs = trainer.n_episodes
        self.default_root_dir = str(trainer.run_dir or Path.cwd())
        self.callbacks = [c for c in trainer.callbacks if is_stock(c)]
        self.caller: Any = None
        """The callback whose hook is being called."""
        self._logged: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        """Say of a part of Lightning's trainer that a run here doesn't have it."""
        raise MissingPartError(
            f"callbacks: a callback of Lightning's asked for trainer.{name}, which a run here doesn't have; "
            "docs/reference/hooks.md lists what its trainer offers"
        )

    @property
    def fit_loop(self) -> Any:
        """What ``ModelCheckpoint`` asks of the loop: no batch is known to be the last of an episode."""
        val_loop = SimpleNamespace(_has_run=self.velora.last_evaluation is not None)
        progress = SimpleNamespace(is_last_batch=False)
        return SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress, val_loop=val_loop))

    @property
    def logger(self) -> Any:
        """The first logger, if any."""
        return self.loggers[0] if self.loggers else None

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers of all networks."""
        return list(self._agent.optimizers.values())

    @property
    def lightning_module(self) -> Any:
        """Refuse: callbacks are given the module."""
        return self.__getattr__("lightning_module")

    @property
    def progress_bar_callback(self) -> Any:
        """The progress bar of Lightning's, if there is one."""
        return next(iter(bars(self.callbacks)), None)

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
            name = "a callback of Lightning's" if self.caller is None else f"Lightning's {type(self.caller).__name__}"
            self.velora.stop(f"{name} set should_stop")

    @property
    def callback_metrics(self) -> dict[str, Tensor]:
        """Metrics that ``monitor=`` may name."""
        numbers = self._logged | self.velora.losses(0)
        first = self.velora.progress[0]
        if first.last_return is not None:
            numbers |= {"return": first.last_return, "return_mean": first.window.mean}
        if first.evaluation is not None:
            numbers[EVALUATION] = first.evaluation.mean
        return {name: torch.tensor(value, dtype=torch.float32, device="cpu") for name, value in numbers.items()}

    @property
    def logged_metrics(self) -> dict[str, Tensor]:
        """The same."""
        return self.callback_metrics

    @property
    def progress_bar_metrics(self) -> dict[str, float]:
        """Metrics that a stock progress bar shows."""
        return {name: float(value) for name, value in self.callback_metrics.items()}

    def keep(self, numbers: Mapping[str, Any]) -> None:
        """Take numbers that a callback logs."""
        plain = {name: float(value.detach() if isinstance(value, Tensor) else value) for name, value in numbers.items()}
        self._logged |= plain
        self.velora.log(plain)

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
