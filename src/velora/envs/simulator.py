"""The physics inside of an environment: positions and velocities by name, whatever its observations show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.envs import layers
from velora.envs.layers import Env


@dataclass(frozen=True, slots=True)
class Simulator:
    """Positions and velocities of a simulator (P numbers).

    Attributes:
        names: of the numbers.
        units: of the numbers, such as ``"rad/s"``.
        plane: which two of them are the axes of a phase plane: a position, and its velocity.
        read: returns the numbers as they are now, (P,) of float64.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    plane: tuple[int, int]
    read: Callable[[], NDArray[np.float64]]


def simulator(env: Env) -> Simulator | None:
    """Find the physics of an environment: of Gymnasium's classic control, or of a MuJoCo task.

    Returns:
        ``None`` if nothing is known about it.

    Example:
        >>> import gymnasium as gym
        >>> simulator(gym.make("CartPole-v1")).names
        ('cart position', 'cart velocity', 'pole angle', 'pole velocity')
    """
    inner: Any = layers.base(env)
    known = _CLASSIC.get(type(inner).__name__)
    if known is not None and type(inner).__module__.startswith("gymnasium.envs.classic_control"):
        return _classic(inner, known)
    if type(inner).__module__.startswith("gymnasium.envs.mujoco"):
        return _mujoco(inner)
    return None


@dataclass(frozen=True, slots=True)
class _Classic:
    quantities: tuple[tuple[str, str], ...]
    plane: tuple[int, int]
    angles: tuple[int, ...] = ()


_CAR: Final = _Classic((("position", ""), ("velocity", "/step")), (0, 1))
_CLASSIC: Final[Mapping[str, _Classic]] = {
    "PendulumEnv": _Classic((("angle", "rad"), ("angular velocity", "rad/s")), (0, 1), angles=(0,)),
    "CartPoleEnv": _Classic(
        (("cart position", "m"), ("cart velocity", "m/s"), ("pole angle", "rad"), ("pole velocity", "rad/s")), (2, 3)
    ),
    "MountainCarEnv": _CAR,
    "Continuous_MountainCarEnv": _CAR,
    "AcrobotEnv": _Classic(
        (("angle 1", "rad"), ("angle 2", "rad"), ("velocity 1", "rad/s"), ("velocity 2", "rad/s")), (0, 2)
    ),
}


def _classic(inner: Any, known: _Classic) -> Simulator:
    angles = list(known.angles)

    def read() -> NDArray[np.float64]:
        now = np.array(inner.state, np.float64).ravel()
        now[angles] = np.mod(now[angles] + np.pi, 2 * np.pi) - np.pi
        return now

    names, units = zip(*known.quantities, strict=True)
    return Simulator(names, units, known.plane, read)


def _mujoco(inner: Any) -> Simulator:
    """Name the joints of a model; one with several degrees of freedom has a number for each."""
    model, data = inner.model, inner.data
    positions, velocities, turning, units = list[str](), list[str](), list[tuple[int, int]](), list[str]()
    for k in range(model.njnt):
        kind, name = int(model.jnt_type[k]), model.joint(k).name or f"joint {k + 1}"
        n_positions, n_velocities = ((7, 6), (4, 3), (1, 1), (1, 1))[kind]
        if kind == _HINGE:
            turning.append((len(positions), len(velocities)))
        units += ["rad" if kind == _HINGE else "m" if kind == _SLIDE else "m or rad"] * n_velocities
        positions += _numbered(f"{name} position", n_positions)
        velocities += _numbered(f"{name} velocity", n_velocities)
    at, speed = turning[0] if turning else (0, 0)

    def read() -> NDArray[np.float64]:
        return np.concatenate((data.qpos, data.qvel)).astype(np.float64)

    names = (*positions, *velocities)
    own = ["m or rad"] * len(positions) if len(positions) != len(velocities) else units
    plane = at, len(positions) + speed
    return Simulator(names, (*own, *(f"{unit}/s" for unit in units)), plane, read)


_SLIDE: Final = 2
"""MuJoCo's number of a joint that slides along an axis."""
_HINGE: Final = 3
"""MuJoCo's number of a joint that turns about an axis."""


def _numbered(name: str, n: int) -> list[str]:
    return [name] if n == 1 else [f"{name} {k + 1}" for k in range(n)]
