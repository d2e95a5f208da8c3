"""A wrapper that keeps what an environment is told and answers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from velora.core.errors import SettingError
from velora.envs.layers import Env
from velora.envs.simulator import simulator


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Keep what an environment is told and answers."""

    def __init__(self, env: Env, *, pictures: bool) -> None:
        super().__init__(env)
        self.rewards: list[float] = []
        self.actions: list[Any] = []
        self.pictures: list[NDArray[np.uint8]] = []
        self.physics: list[NDArray[np.float64]] = []
        self.simulator = simulator(env)
        self._draws = pictures

    def reset(self, **options: Any) -> Any:
        """Begin, with a picture."""
        answer = self.env.reset(**options)
        self.look()
        return answer

    def step(self, action: Any) -> Any:
        """Step, and keep action, reward and picture."""
        answer = self.env.step(action)
        self.actions.append(np.array(action, np.float64))
        self.rewards.append(float(answer[1]))
        self.look()
        return answer

    def look(self) -> None:
        """Keep positions and velocities, and a picture, if that is wanted."""
        if self.simulator is not None:
            self.physics.append(self.simulator.read())
        if self._draws:
            picture = np.asarray(self.env.render())
            if picture.ndim != 3 or picture.dtype != np.uint8:
                raise SettingError("trace: expected render() to give a picture, (height, width, 3) bytes")
            self.pictures.append(picture)
