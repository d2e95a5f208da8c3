"""What an agent earned, in numbers for a model card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from velora.analysis.statistics import bootstrap_interval
from velora.core.errors import SettingError


@dataclass(frozen=True, slots=True)
class Scores:
    """Returns of evaluation episodes, without exploration.

    Attributes:
        returns: one of each episode.
        environment: identifier of the environment that was played in.
        episodes: which they were, in a few words.
    """

    returns: tuple[float, ...]
    environment: str
    episodes: str = "episodes that training didn't use"

    @classmethod
    def of(cls, returns: Sequence[float], environment: str, episodes: str = "") -> Scores:
        """Take returns over.

        Raises:
            SettingError: if there are none, or one isn't finite.
        """
        values = tuple(float(value) for value in returns)
        if not values or not np.isfinite(values).all():
            raise SettingError("scores: expected at least one return, all of them finite")
        return cls(values, environment, episodes) if episodes else cls(values, environment)

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Standard deviation over the episodes."""
        return float(np.std(self.returns))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % bootstrap interval of the mean over episodes; ``None`` for a single one."""
        if len(self.returns) < 2:
            return None
        low, high = bootstrap_interval(np.array(self.returns))
        return float(low), float(high)

    @property
    def in_short(self) -> str:
        """Mean and standard deviation as leaderboards read them.

        Example:
            >>> Scores.of([1.0, 3.0], "Pendulum-v1").in_short
            '2.00 +/- 1.00'
        """
        return f"{self.mean:.2f} +/- {self.std:.2f}"
