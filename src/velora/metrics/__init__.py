"""The run store (SQLite in the run directory), moving windows, and queries."""

from velora.metrics.rows import EpisodeRow, EvaluationRow, ExperimentRow, LoggedRow
from velora.metrics.schema import DATABASE_NAME
from velora.metrics.store import RunStore
from velora.metrics.window import MovingWindow

__all__ = [
    "DATABASE_NAME",
    "EpisodeRow",
    "EvaluationRow",
    "ExperimentRow",
    "LoggedRow",
    "MovingWindow",
    "RunStore",
]
