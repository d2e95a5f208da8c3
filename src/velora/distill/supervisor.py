"""The teacher beside every environment of a run: what it would do in the state that the student is in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError
from velora.core.types import Array
from velora.distill.teacher import Teacher
from velora.envs import ActionBounds, ActionUnits, Environments
from velora.envs.watched import Watched, find_watched


class Supervisor:
    """Ask a teacher about the whole observation of every seed's environment, whatever the student sees of it.

    Shapes:
        labels: (S, A) in [-1, 1], or numbers of discrete actions (S, 1): the newest answers.
        memory: (S, H), the teacher's recurrent state in each running episode.

    Args:
        teacher: answers one observation at a time, so that a seed's labels don't depend on other seeds.
        n_seeds: environments (S).
        width: numbers of a label (A).
    """

    def __init__(self, teacher: Teacher, n_seeds: int, width: int) -> None:
        self.teacher = teacher
        self.labels: NDArray[np.float32] = np.zeros((n_seeds, width), np.float32)
        self.memory: NDArray[np.float32] = np.zeros((n_seeds, teacher.state_size), np.float32)
        self._views: list[Watched] = []

    def meet(self, envs: Environments) -> None:
        """Find the places from which the teacher sees these environments.

        Raises:
            SettingError: if one can't be looked into.
        """
        found = [find_watched(env) for env in envs.envs]
        self._views = [view for view in found if view is not None]
        if len(self._views) != len(found):
            raise SettingError(
                "distill: the teacher can't see environments in workers; leave workers (env.workers) out"
            )

    def begin_episode(self, seed_index: int) -> None:
        """Forget what the teacher remembers of the episode before."""
        self.memory[seed_index] = 0.0

    def ask(self, rows: Sequence[int], dt: Array, bounds: ActionUnits) -> NDArray[np.float32]:
        """Ask about the newest observations of these seeds; return all labels.

        Shapes:
            dt: (S, 1), time since the observation before, in control steps.

        Args:
            bounds: of the environments' actions.
        """
        for k in rows:
            said, self.memory[k] = self.teacher.answer(self._views[k].newest, self.memory[k], float(dt[k, 0]))
            self.labels[k] = normalised(said, bounds) if self.teacher.actions == "units" else said.clip(-1.0, 1.0)
        return self.labels


def normalised(action: Array, bounds: ActionUnits) -> Array:
    """Bring an action (A,) from the environment's units to [-1, 1], clipped; the number of a discrete one stays.

    Example:
        >>> normalised(np.array([1.0, -9.0]), ActionBounds((-2.0, -2.0), (2.0, 2.0))).tolist()
        [0.5, -1.0]
    """
    if not isinstance(bounds, ActionBounds):
        return action
    low, _, half = bounds.arrays
    clipped: Array = ((action - low) / half - 1.0).clip(-1.0, 1.0)
    return clipped
