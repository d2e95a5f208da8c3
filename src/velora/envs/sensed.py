"""Names of the numbers in an observation: the keys of a dict, what wrappers append, sensors of known tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from velora.envs import layers
from velora.envs.layers import Env, Layer
from velora.envs.wrappers.delay import Delay
from velora.envs.wrappers.drop_observation import DropObservation
from velora.envs.wrappers.flicker import Flicker
from velora.envs.wrappers.noisy_observation import NoisyObservation
from velora.envs.wrappers.previous_action_reward import PreviousActionReward

SENSORS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pendulum": ("cos angle", "sin angle", "speed"),
    "CartPole": ("cart position", "cart velocity", "pole angle", "pole velocity"),
    "MountainCar": ("position", "velocity"),
    "MountainCarContinuous": ("position", "velocity"),
}
"""Observations of Gymnasium's classic control, by the name of the environment without its version."""
_KEEPING: Final = (
    gym.wrappers.NormalizeObservation,
    gym.wrappers.RescaleObservation,
    gym.wrappers.DtypeObservation,
    NoisyObservation,
    Flicker,
    Delay,
)
"""Wrappers that change the numbers or their bounds, and leave each in its place."""


def names_of_observations(env: Env) -> tuple[str, ...]:
    """Name each number of an environment's observations, (O,).

    A part of a ``Dict`` is called by its keys, such as ``position[0]`` or ``gripper.force``; a value of a ``Discrete``
    is ``load=2``. What has no name is numbered by its place, such as ``observation 3``.

    Args:
        env: with observations of a flat box, as agents read them.

    Example:
        >>> names_of_observations(PreviousActionReward(DropObservation(gym.make("Pendulum-v1"), "velocity")))
        ('cos angle', 'sin angle', 'last action', 'last reward')
        >>> names_of_observations(gym.wrappers.FlattenObservation(gym.make("Blackjack-v1")))[-3:]
        ('observation[1]=10', 'observation[2]=0', 'observation[2]=1')
    """
    names = _innermost(layers.base(env))
    for layer in layers.layers(env):
        names = _around(layer, names)
    return tuple(name or f"observation {at + 1}" for at, name in enumerate(names))


def after_previous(names: Sequence[str], n_actions: int) -> tuple[str, ...]:
    """Return the names of what :class:`PreviousActionReward` appends, after those that were there."""
    actions = [f"last action {k + 1}" if n_actions > 1 else "last action" for k in range(n_actions)]
    return (*names, *actions, "last reward")


def _innermost(inner: Env) -> tuple[str, ...]:
    """Name what an environment itself shows; a number without a name is the empty string."""
    size = _size(inner.observation_space)
    is_gymnasium = type(inner).__module__.startswith("gymnasium.envs.classic_control")
    known = SENSORS.get(inner.spec.name, ()) if is_gymnasium and inner.spec is not None else ()
    return known if len(known) == size else ("",) * size


def _around(layer: Layer, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of what is seen around a wrapper, of those inside it."""
    shown, inside = layer.observation_space, layer.env.observation_space
    if isinstance(layer, gym.wrappers.FlattenObservation):
        return names if isinstance(inside, spaces.Box) else tuple(_parts(inside, ""))
    if isinstance(layer, DropObservation):
        return tuple(names[at] for at in layer.kept)
    if isinstance(layer, PreviousActionReward):
        return after_previous(names, _size(shown) - len(names) - 1)
    keeps = shown == inside or isinstance(layer, _KEEPING)
    return names if keeps and _size(shown) == len(names) else ("",) * _size(shown)


def _size(space: gym.Space[Any]) -> int:
    return int(np.prod(space.shape)) if isinstance(space, spaces.Box) else 0


def _parts(space: gym.Space[Any], name: str) -> Iterator[str]:
    """Name the numbers of a space in the order in which Gymnasium lays them out."""
    if isinstance(space, spaces.Dict):
        for key, one in space.spaces.items():
            yield from _parts(one, f"{name}.{key}" if name else str(key))
        return
    name = name or "observation"
    if isinstance(space, spaces.Tuple):
        for at, one in enumerate(space.spaces):
            yield from _parts(one, f"{name}[{at}]")
    elif isinstance(space, spaces.Discrete):
        yield from (f"{name}={value}" for value in range(int(space.start), int(space.start + space.n)))
    elif isinstance(space, spaces.MultiDiscrete):
        counts = zip(_places(space.shape, name), space.start.ravel(), space.nvec.ravel(), strict=True)
        yield from (f"{one}={start + k}" for one, start, n in counts for k in range(n))
    elif isinstance(space, spaces.Box | spaces.MultiBinary):
        yield from _places(space.shape, name)
    else:
        yield from ("",) * spaces.flatdim(space)


def _places(shape: Sequence[int], name: str) -> list[str]:
    if np.prod(shape) == 1:
        return [name]
    return [f"{name}[{','.join(map(str, at))}]" for at in np.ndindex(*shape)]
