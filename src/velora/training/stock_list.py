"""The one list of Lightning's callbacks: those that run here unmodified, and those that are refused, with what to use.

The tables of the documentation and the tests are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from velora.callbacks.base import HOOKS, Callback
from velora.core.errors import SettingError

WORKS: dict[str, str] = {
    "EarlyStopping": "`monitor=` as below; `evaluation` is judged when there is a new one",
    "LambdaCallback": "",
    "ModelCheckpoint": "writes checkpoints of Velora's, which `load` reads",
    "ModelSummary": "",
    "OnExceptionCheckpoint": "writes a checkpoint of Velora's, which a run can go on from",
    "RichModelSummary": "",
    "RichProgressBar": "takes the place of Velora's bar",
    "TQDMProgressBar": "takes the place of Velora's bar",
    "Timer": "counts on after a resume",
}
"""Those that run unmodified, each with a remark."""

REFUSED: dict[str, str] = {
    "BackboneFinetuning": "a callback of your own that calls `requires_grad_` on a network's parameters",
    "BaseFinetuning": "a callback of your own that calls `requires_grad_` on a network's parameters",
    "BasePredictionWriter": "`agent.predict`, or `velora evaluate`",
    "BatchSizeFinder": "the argument `batch_size`",
    "DeviceStatsMonitor": "`velora.callbacks.DeviceStats`",
    "EMAWeightAveraging": "the agent's target networks, by its setting `tau`",
    "GradientAccumulationScheduler": "a larger `batch_size`",
    "LearningRateFinder": "`velora.callbacks.Schedule`, with a linear rise of the learning rate",
    "LearningRateMonitor": "`velora.callbacks.LearningRateMonitor`",
    "ModelPruning": "the agent's settings `wiring` and `sparsity`",
    "SpikeDetection": "what a run does by itself: it stops a seed that meets NaN or infinity",
    "StochasticWeightAveraging": "the agent's target networks, by its setting `tau`",
    "ThroughputMonitor": "`velora.callbacks.Throughput`",
    "WeightAveraging": "the agent's target networks, by its setting `tau`",
}
"""Those that need Lightning's own loops, each with what to use instead."""

_PACKAGE = re.compile(r"(lightning\.pytorch|pytorch_lightning|lightning\.fabric|lightning_fabric)\.")


def is_stock(callback: Any) -> bool:
    """Return whether a callback has Lightning's shape rather than ours."""
    return not isinstance(callback, Callback)


def lineage(callback: Any) -> Sequence[str]:
    """Name the classes of Lightning that a callback is of, itself first."""
    return [kind.__name__ for kind in type(callback).__mro__ if _PACKAGE.match(kind.__module__)]


def does_nothing_at(function: Any, name: str) -> bool:
    """Return whether a method is what Lightning's callbacks inherit at a hook."""
    is_base = function.__qualname__ == f"Callback.{name}" and function.__module__.endswith("callbacks.callback")
    return is_base and _PACKAGE.match(function.__module__) is not None


def check_stock(callback: Any) -> str | None:
    """Refuse a callback of Lightning's that could not do its work here.

    Returns:
        A warning, where a callback of somebody else's has hooks among others that a run here never reaches.

    Raises:
        SettingError: in one line, with what to use instead.
    """
    kinds, name = lineage(callback), type(callback).__name__
    for kind in kinds:
        if kind in REFUSED:
            whose = f"Lightning's {kind}" if kind == name else f"{name} is a {kind} of Lightning's, which"
            instead = REFUSED[kind].replace("`", "")
            raise SettingError(f"callbacks: {whose} needs Lightning's own loops; use {instead}")
    if not kinds or (kinds[0] == name and name in WORKS and name != "LambdaCallback"):
        return None
    missed = sorted(hook for hook in _hooks(callback) if hook not in HOOKS and _belongs_to_training(hook))
    if not missed:
        return None
    never = f"callbacks: {name}: a run never reaches {', '.join(missed)}"
    if not any(hook in HOOKS for hook in _hooks(callback)):
        raise SettingError(f"{never}; on_validation_start and on_validation_end are around an evaluation")
    return f"{never}; its other hooks are called"


def _hooks(callback: Any) -> list[str]:
    """List the hooks of Lightning's that a callback overrides."""
    names = [name for name in dir(callback) if name.startswith("on_")]
    methods = ((name, getattr(callback, name)) for name in names)
    functions = ((name, getattr(method, "__func__", method)) for name, method in methods)
    return [name for name, function in functions if callable(function) and not does_nothing_at(function, name)]


def _belongs_to_training(hook: str) -> bool:
    """Return whether Lightning would call a hook while it trains."""
    return hook.startswith(("on_validation_", "on_sanity_check_"))
