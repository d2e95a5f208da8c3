"""Types that several layers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # rows of metrics are read without PyTorch
    from torch import Tensor

Array: TypeAlias = NDArray[Any]
Action: TypeAlias = NDArray[np.float32] | np.int64
"""What an environment is given: numbers in its units, (A,), or the number of one of its discrete actions."""
Metrics: TypeAlias = "Mapping[str, Tensor]"
"""What an update reports: name (``actor/loss``) to a detached tensor of shape (S,)."""


@dataclass(slots=True)
class Counters:
    """Count what one seed has lived: finished episodes, environment steps, gradient updates, and episodes begun.

    ``begun`` counts those that were never finished too, so that each has a reset seed of its own.
    """

    episode: int = 0
    step: int = 0
    update: int = 0
    begun: int = 0


@dataclass(slots=True)
class Episode:
    """Follow one episode of one seed while it runs; after its end it is the record of it.

    ``seed_index`` is the position on the seed axis S, ``number`` counts from 1 as episodes end (of a running one it is
    the number that it gets if it ends next), ``reset_seed`` is the seed that ``env.reset`` was given, and ``reward`` is
    the undiscounted return so far.
    """

    seed_index: int
    number: int
    reset_seed: int
    reward: float = 0.0
    length: int = 0
    terminated: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class WindowStats:
    """Summarise the last ``count`` of at most ``size`` episode returns; a window that isn't full says so.

    ``seed_index`` is the position on the seed axis whose episodes they are.
    """

    size: int
    count: int
    mean: float
    std: float
    max: float
    seed_index: int = 0

    @property
    def is_full(self) -> bool:
        """Return whether the window has seen as many episodes as it holds."""
        return self.count == self.size


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Returns of one round of evaluation episodes: no noise, no learning, the same reset seeds each time."""

    seed_index: int
    step: int
    episode: int
    returns: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Average the returns."""
        with np.errstate(all="ignore"):  # an infinite return is data, not a warning
            return float(np.mean(self.returns))


class Filmed(NamedTuple):
    """A video: its file, its pictures, and what each of its episodes earned."""

    path: Path
    n_pictures: int
    returns: tuple[float, ...]


class Transition(NamedTuple):
    """One step of every environment, seed after seed, as ``on_env_step`` receives it: (S * E, feature) or (S * E,)."""

    obs: Array
    action: Array
    reward: Array
    next_obs: Array
    terminated: Array
    truncated: Array
    dt: Array
