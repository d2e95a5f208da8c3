"""Environments that workers import: Pendulum, with something odd about it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium as gym


class CannotBePackedError(Exception):
    """An error that can be packed and not unpacked."""

    def __init__(self, joint: str, *, angle: float) -> None:
        super().__init__(f"{joint} is at {angle}")


class Odd(gym.Wrapper[Any, Any, Any, Any]):
    """Pendulum that does something at one of its steps, counted over all episodes."""

    def __init__(self, what: str = "nothing", at: int = 0, mark: str | None = None) -> None:
        super().__init__(gym.make("Pendulum-v1", max_episode_steps=20))
        self.what, self.at, self.mark, self.n_steps = what, at, mark, 0

    def step(self, action: Any) -> Any:
        self.n_steps += 1
        if self.n_steps == self.at:
            if self.what == "dies":
                os.kill(os.getpid(), 9)
            if self.what == "exits":
                os._exit(3)
            if self.what == "hangs":
                time.sleep(3600)
            if self.what == "raises":
                raise ZeroDivisionError("the joint has no angle")
            if self.what == "cannot be packed":
                raise CannotBePackedError("hip", angle=3.0)
        obs, reward, *rest, info = super().step(action)
        return obs, reward, *rest, {**info, "simulator": open}

    def close(self) -> None:
        super().close()
        if self.mark is not None:
            with Path(self.mark).open("a") as file:
                file.write("closed\n")
        if self.what == "hangs at close":
            time.sleep(3600)


class Makes:
    """Make an environment for each place in turn; each worker begins to count anew."""

    def __init__(self, what: str, at: int = 0, mark: str | None = None) -> None:
        self.given = what, at, mark

    def __call__(self) -> gym.Env[Any, Any]:
        return Odd(*self.given)


class Slow(gym.Wrapper[Any, Any, Any, Any]):
    """Pendulum whose steps take a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(gym.make("Pendulum-v1"))
        self.seconds = seconds

    def step(self, action: Any) -> Any:
        time.sleep(self.seconds)
        return super().step(action)
