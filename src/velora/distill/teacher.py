"""Teachers: policies that say what to do in a state, whatever they were made with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from velora.core.types import Array

Units: TypeAlias = Literal["units", "normalised"]
"""What the numbers of an action are in: the environment's units, or [-1, 1] for its bounds."""


class Teacher(ABC):
    """A policy that is asked, one observation after another, along episodes.

    Attributes:
        name: for errors.
        digest: tells it from others.
        state_size: numbers that it carries from one step to the next (H); 0 without memory.
        actions: what its actions are in.
    """

    name: str
    digest: str
    state_size: int = 0
    actions: Units = "units"

    @abstractmethod
    def check(self, env: gym.Env[Any, Any]) -> None:
        """Check that it fits an environment of flat observations, as the teacher sees it.

        Raises:
            TeacherError: if it doesn't.
        """

    @abstractmethod
    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """Say what to do.

        Shapes:
            obs: (O,). state: (H,), zeros at an episode's start.
            returns: the action (A,), or the number of a discrete one (1,), counted from 0; the next state (H,).

        Args:
            dt: time since the observation before, in control steps.

        Raises:
            NonFiniteError: if the answer isn't finite.
        """

    @abstractmethod
    def keep(self, place: Path) -> Path:
        """Write it into a directory, from which :func:`open_teacher` reads the same; return where."""
