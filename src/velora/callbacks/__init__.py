"""The hooks of a training run, and the callbacks that come with Velora."""

from typing import TYPE_CHECKING

from velora.callbacks.base import HOOKS, Callback
from velora.core.lazy import on_demand

if TYPE_CHECKING:
    from velora.callbacks.curriculum import Curriculum
    from velora.callbacks.device_stats import DeviceStats
    from velora.callbacks.early_stopping import EarlyStopping
    from velora.callbacks.evaluate import Evaluate
    from velora.callbacks.gradient_monitor import GradientMonitor
    from velora.callbacks.learning_rate_monitor import LearningRateMonitor
    from velora.callbacks.own_functions import Lambda
    from velora.callbacks.print_summary import PrintSummary
    from velora.callbacks.progress_bar import ProgressBar
    from velora.callbacks.record_video import RecordVideo
    from velora.callbacks.save_checkpoints import SaveCheckpoints
    from velora.callbacks.schedule import Schedule
    from velora.callbacks.stop_on_time import StopOnTime
    from velora.callbacks.throughput import Throughput

__all__ = [
    "HOOKS",
    "Callback",
    "Curriculum",
    "DeviceStats",
    "EarlyStopping",
    "Evaluate",
    "GradientMonitor",
    "Lambda",
    "LearningRateMonitor",
    "PrintSummary",
    "ProgressBar",
    "RecordVideo",
    "SaveCheckpoints",
    "Schedule",
    "StopOnTime",
    "Throughput",
]
__getattr__, __dir__ = on_demand(
    __name__,
    {
        "Curriculum": "curriculum",
        "DeviceStats": "device_stats",
        "EarlyStopping": "early_stopping",
        "Evaluate": "evaluate",
        "GradientMonitor": "gradient_monitor",
        "Lambda": "own_functions",
        "LearningRateMonitor": "learning_rate_monitor",
        "PrintSummary": "print_summary",
        "ProgressBar": "progress_bar",
        "RecordVideo": "record_video",
        "SaveCheckpoints": "save_checkpoints",
        "Schedule": "schedule",
        "StopOnTime": "stop_on_time",
        "Throughput": "throughput",
    },
)
