"""Environments whose episodes depend on those before them, and what makes each of them begin afresh."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym

_KEEP_THEIR_WORLD = frozenset(
    {"gymnasium.envs.box2d.bipedal_walker.BipedalWalker", "gymnasium.envs.box2d.car_racing.CarRacing"}
)


def renewal(env: gym.Env[Any, Any]) -> Callable[[], None] | None:
    """Return what has to be called before every reset of an environment, so that its seed alone decides the episode.

    Gymnasium's BipedalWalker and CarRacing build one episode after another in the same Box2D world. Its memory decides
    the order in which contacts are solved, so the same seed and actions led to other numbers after other episodes.
    Given a new world for every episode, which Gymnasium's own LunarLander makes, they don't.

    Returns:
        ``None`` for all other environments, which need nothing.
    """
    simulator: Any = env.unwrapped
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(simulator).__mro__}
    return partial(_renew_world, simulator) if kinds & _KEEP_THEIR_WORLD else None


def _renew_world(simulator: Any) -> None:
    simulator._destroy()  # or the next reset would look for its old bodies in the new world
    simulator.world = type(simulator.world)(gravity=tuple(simulator.world.gravity))
