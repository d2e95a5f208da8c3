"""The hooks of a training run, and the callbacks that come with Velora."""

from typing import TYPE_CHECKING

from velora.callbacks.base import HOOKS, Callback
from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.callbacks.early_stopping import EarlyStopping
    from velora.callbacks.print_summary import PrintSummary
    from velora.callbacks.progress_bar import ProgressBar
    from velora.callbacks.save_checkpoints import SaveCheckpoints

__all__ = ["HOOKS", "Callback", "EarlyStopping", "PrintSummary", "ProgressBar", "SaveCheckpoints"]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "EarlyStopping": "early_stopping",
        "PrintSummary": "print_summary",
        "ProgressBar": "progress_bar",
        "SaveCheckpoints": "save_checkpoints",
    },
)
