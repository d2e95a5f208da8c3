"""Loggers: Lightning's by name or made by the user, opened before a run, written to along it, closed at its end."""

from __future__ import annotations

from velora.training.loggers.asked import Asked, Plan
from velora.training.loggers.loggers import Loggers, as_numbers, as_only_process

__all__ = ["Asked", "Loggers", "Plan", "as_numbers", "as_only_process"]
