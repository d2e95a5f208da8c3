"""Let stock ``lightning.pytorch`` callbacks run unmodified: show them a trainer and a module of the shape they know.

:mod:`velora.training.stock_list` says which do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.training.lightning_trainer import EVALUATION, StepwiseTrainer, StockTrainer, make_module
from velora.training.protocol import TrainableAgent
from velora.training.stock_list import is_stock

log = logging.getLogger(__name__)


class StockBinding:
    """Bind the hooks of stock callbacks to a ``(trainer, pl_module)`` of Lightning's shape.

    Raises:
        SettingError: if a callback watches what this run never has.
    """

    def __init__(self, trainer: StepwiseTrainer, agent: TrainableAgent, fabric: Any) -> None:
        self._velora = trainer
        self.trainer = StockTrainer(trainer, agent, fabric)
        self.module = make_module(self.trainer, agent)
        for callback in filter(is_stock, trainer.callbacks):
            if getattr(callback, "monitor", None) is not None:
                self._check_monitor(callback, agent)

    def _check_monitor(self, callback: Any, agent: TrainableAgent) -> None:
        name = type(callback).__name__
        if len(agent.seeds) > 1:
            raise SettingError(
                f"callbacks: Lightning's {name} knows of one seed, and this run has {len(agent.seeds)}; "
                "velora.callbacks.EarlyStopping and SaveCheckpoints follow each by itself"
            )
        strangers = [c for c in self._velora.callbacks if not type(c).__module__.startswith(("velora.", "lightning."))]
        if callback.monitor == EVALUATION and not (self._velora.is_evaluated or strangers):
            raise SettingError(
                f"callbacks: {name}(monitor={EVALUATION!r}) needs rounds of evaluation, but evaluate_every is None; "
                "set evaluate_every, or use monitor='return_mean'"
            )

    def __call__(self, callback: Any, name: str) -> Callable[..., Any]:
        """Return one hook of a callback, which takes what comes after ``(trainer, pl_module)``."""
        hook = partial(self._call, callback, name)
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and name in ("on_train_epoch_end", "on_validation_end"):
            return partial(self._once_known, hook, monitor, name)
        return partial(self._started, callback, hook) if name == "on_train_start" else hook

    def _call(self, callback: Any, name: str, *args: Any) -> None:
        """Call a hook; the trainer knows meanwhile who asks it for something."""
        self.trainer.caller = callback
        try:
            getattr(callback, name)(self.trainer, self.module, *args)
        finally:
            self.trainer.caller = None

    def _started(self, callback: Any, hook: Callable[[], Any]) -> None:
        """Start; a run that goes on in the middle of an episode begins its epoch again, as Lightning does."""
        hook()
        if self._velora.progress[0].is_running:
            callback.on_train_epoch_start(self.trainer, self.module)

    def _once_known(self, hook: Callable[[], Any], monitor: str, name: str) -> None:
        """Call a hook that judges a metric if there is a value that it hasn't judged."""
        first = self._velora.progress[0]
        if monitor == EVALUATION and name == "on_train_epoch_end":
            if first.evaluation is not None and first.evaluation.episode == first.episode:
                hook()
            return
        known = self.trainer.callback_metrics
        if monitor in known:
            hook()
        elif monitor != EVALUATION and self._velora.update and not self._awaits_evaluation():
            hint = did_you_mean(monitor, known, f"there are {', '.join(known)}", written=repr)
            raise SettingError(f"callbacks: monitor={monitor!r}: nothing of that name is measured; {hint}")

    def _awaits_evaluation(self) -> bool:
        """Return whether a first evaluation, whose hooks may log things, is still to come."""
        return self._velora.is_evaluated and self._velora.last_evaluation is None
