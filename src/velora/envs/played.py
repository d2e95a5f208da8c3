"""Episodes of an environment that are played to look at it, and in what two of them differ."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from velora.core.errors import SpaceError, VeloraError
from velora.core.types import Action, Array
from velora.envs.vector import Environments, Step

T = TypeVar("T")
_VELORA = Path(__file__).parents[1]
_LIBRARIES = (str(_VELORA), *(str(Path(str(module.__file__)).parent) for module in (gym, np)))


class FaultError(SpaceError):
    """Error of an environment in one of its calls, in one line."""


@dataclass(slots=True)
class Episode:
    """What an environment answered: first to the reset, then to every action.

    Attributes:
        low, high: (O,) least and largest numbers of the observations.
        seconds: how long the steps took.
    """

    seed: int
    actions: list[Action] = field(default_factory=list)
    answers: list[tuple[bytes, float, bool, bool, float]] = field(default_factory=list)
    low: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    high: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    seconds: float = 0.0

    @property
    def rewards(self) -> list[float]:
        """Rewards of the steps."""
        return [reward for _, reward, *_ in self.answers[1:]]

    @property
    def terminated(self) -> bool:
        """Whether the last step said so."""
        return self.answers[-1][2]

    @property
    def is_over(self) -> bool:
        """Whether the last step ended it."""
        return self.answers[-1][2] or self.answers[-1][3]

    def take(self, step: Step) -> None:
        """Note an answer."""
        self.low = np.minimum(self.low, step.obs) if self.answers else step.obs.copy()
        self.high = np.maximum(self.high, step.obs) if self.answers else step.obs.copy()
        self.answers.append((step.seen, step.reward, step.terminated, step.truncated, step.dt))


def play(envs: Environments, seed: int, choose: Callable[[], Action], *, at_most: int) -> Episode:
    """Play an episode, until it ends or ``at_most`` steps are taken.

    Raises:
        FaultError: if a call fails, or its answer isn't one.
    """
    episode = Episode(seed)
    episode.take(answered(lambda: envs.reset(0, seed=seed), f"reset(seed={seed})"))
    while not episode.is_over and len(episode.actions) < at_most:
        action = choose()
        began = time.perf_counter()
        step = answered(lambda: envs.step(0, action.copy()), f"step {len(episode.actions) + 1}")  # noqa: B023
        episode.seconds += time.perf_counter() - began
        episode.actions.append(action)
        episode.take(step)
    return episode


def played_again(envs: Environments, episode: Episode) -> Episode:
    """Play an episode once more, with the same seed and actions, as far as it goes.

    Raises:
        FaultError: as :func:`play`.
    """
    actions = iter(episode.actions)
    return play(envs, episode.seed, lambda: next(actions), at_most=len(episode.actions))


def difference(one: Episode, other: Episode) -> str | None:
    """Say where two episodes part that were played with the same seed and actions; ``None`` if they don't."""
    names = ("observation", "reward", "terminated", "truncated", 'info["dt"]')
    for at, (here, there) in enumerate(zip(one.answers, other.answers, strict=False)):
        for name, first, second in zip(names, here, there, strict=True):
            if first != second:
                where = "reset" if at == 0 else f"step {at}"
                if isinstance(first, bytes):
                    return f"the {name} of {where} differs"
                return f"{name} of {where} is {first:.9g} once and {second:.9g} once"
    return None


def answered(call: Callable[[], T], name: str) -> T:
    """Call an environment, and put its failure into one line.

    Raises:
        FaultError: naming the call, and for an exception of the environment's own the line of code that raised it.
    """
    try:
        return call()
    except VeloraError as error:
        raise FaultError(f"{name}: {str(error).removeprefix('environment 0: ')}") from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise FaultError(f"{name} raised {type(error).__name__}{text and f': {text}'}{_place(error)}") from error


def _place(error: BaseException) -> str:
    """Name the last line of the user's own code that an error came through."""
    frames: Sequence[Any] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*_LIBRARIES, "<"))]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name})" if own else ""
