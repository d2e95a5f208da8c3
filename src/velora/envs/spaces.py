"""Which spaces an agent serves, and how its actions map to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, SpaceError

if TYPE_CHECKING:
    import gymnasium as gym

HUGE = 1e30
"""Bounds beyond this stand for "unbounded" and can't be scaled to in float32."""


class ActionUnits(Protocol):
    """Map an agent's actions to those of an environment, which a checkpoint keeps."""

    def to_environment(self, action: NDArray[Any]) -> NDArray[Any]:
        """Turn actions (..., A) into what the environment takes."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the units as JSON, for the environment's part of a checkpoint."""
        ...

    def read(self, info: dict[str, Any]) -> Self:
        """Take out of ``info`` what :meth:`describe` put there, for an agent of the same kind and size of actions.

        Raises:
            SpaceError: if that is missing or doesn't fit.
        """
        ...


@dataclass(frozen=True)
class ActionBounds:
    """Map normalised actions in [-1, 1] to the environment's units and back.

    Shapes:
        low, high: (A,).
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def unit(cls, action_dim: int) -> ActionBounds:
        """Make the bounds of an agent that no environment has told its units yet."""
        return cls((-1.0,) * action_dim, (1.0,) * action_dim)

    def to_environment(self, action: NDArray[Any]) -> NDArray[np.float32]:
        """Rescale normalised actions.

        Shapes:
            action: (..., A) in [-1, 1].
            returns: (..., A) in [low, high].
        """
        low, high, half = self._arrays
        scaled: NDArray[np.float32] = low + (np.asarray(action, np.float32) + np.float32(1.0)) * half
        # Not np.clip, which costs several times as much on arrays this small.
        return np.minimum(np.maximum(scaled, low), high)

    def describe(self) -> dict[str, Any]:
        """See :class:`ActionUnits`."""
        return {"action_low": list(self.low), "action_high": list(self.high)}

    def read(self, info: dict[str, Any]) -> ActionBounds:
        """See :class:`ActionUnits`."""
        size = len(self.low)
        low, high = (info.pop(name, None) for name in ("action_low", "action_high"))
        are_bounds = all(isinstance(bounds, list) and len(bounds) == size for bounds in (low, high))
        if not are_bounds or not all(_are_bounds(*pair) for pair in zip(low, high, strict=True)):
            raise SpaceError(f"expected {size} action bounds, low below high")
        return ActionBounds(tuple(map(float, low)), tuple(map(float, high)))

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        low, high = np.asarray(self.low, np.float32), np.asarray(self.high, np.float32)
        return low, high, np.float32(0.5) * (high - low)


def _are_bounds(low: Any, high: Any) -> bool:
    return {type(low), type(high)} <= {int, float} and -HUGE < low < high < HUGE


@dataclass(frozen=True)
class DiscreteActions:
    """Number the actions of an environment that has ``n`` of them; its own numbers begin at ``first``."""

    n: int
    first: int = 0

    def to_environment(self, action: NDArray[Any]) -> NDArray[np.int64]:
        """Turn numbers from 0 on into the environment's.

        Shapes:
            action: (..., 1).
            returns: (...).

        Raises:
            NonFiniteError: if one isn't finite.
        """
        if not np.isfinite(action).all():
            raise NonFiniteError(f"policy: gave the action {action.ravel()}; its weights or its input have diverged")
        numbers: NDArray[np.int64] = action[..., 0].astype(np.int64) + self.first
        return numbers

    def describe(self) -> dict[str, Any]:
        """See :class:`ActionUnits`."""
        return {"n_actions": self.n, "first_action": self.first}

    def read(self, info: dict[str, Any]) -> DiscreteActions:
        """See :class:`ActionUnits`."""
        n, first = info.pop("n_actions", None), info.pop("first_action", None)
        if type(n) is not int or type(first) is not int or n != self.n:
            raise SpaceError(f"expected {self.n} discrete actions, got n_actions={n!r} and first_action={first!r}")
        return DiscreteActions(n, first)


def default_units(action_dim: int, *, discrete: bool) -> ActionUnits:
    """Make the units of an agent that no environment has told its own yet."""
    return DiscreteActions(action_dim) if discrete else ActionBounds.unit(action_dim)


def is_discrete(env: gym.Env[Any, Any]) -> bool:
    """Return whether an environment lets one choose from a number of actions."""
    from gymnasium.spaces import Discrete

    return isinstance(env.action_space, Discrete)


def dimensions(env: gym.Env[Any, Any]) -> tuple[int, int]:
    """Return what an agent for an environment takes as ``state_dim`` and ``action_dim`` (O, A).

    Raises:
        SpaceError: if no agent can serve the environment.

    Example:
        >>> import gymnasium as gym
        >>> dimensions(gym.make("FrozenLake-v1")), dimensions(gym.make("Blackjack-v1"))
        ((16, 4), (45, 2))
    """
    from gymnasium.spaces import Discrete

    acted = env.action_space
    state_dim = observation_size(env)
    action_dim = int(acted.n) if isinstance(acted, Discrete) else acted.shape[0] if acted.shape else 1
    check_spaces(env, state_dim=state_dim, action_dim=action_dim, discrete=is_discrete(env))
    return state_dim, action_dim


def observation_size(env: gym.Env[Any, Any]) -> int:
    """Count the numbers of an observation once it is flattened; see :func:`velora.envs.flattened`.

    Raises:
        SpaceError: if there are none, or a part of the observation can't be flattened.
    """
    from gymnasium.spaces import Box, flatdim

    seen = env.observation_space
    if isinstance(seen, Box) and len(seen.shape) == 1 and seen.shape[0]:
        return seen.shape[0]
    for part in _unserved(seen):
        raise SpaceError(
            f"{environment_name(env)}: expected observations of Box, Discrete, MultiDiscrete and MultiBinary spaces, "
            f"in Dict and Tuple where there are several, got {part}; turn it into numbers with "
            "gymnasium.wrappers.TransformObservation"
        )
    size = flatdim(seen)
    if not size:
        raise SpaceError(
            f"{environment_name(env)}: expected at least one number in an observation, got {seen}; show the agent one"
        )
    return size


def _unserved(seen: Any) -> Iterator[Any]:
    """Find the parts of a space that aren't served."""
    from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

    if isinstance(seen, Dict | Tuple):
        for part in seen.values() if isinstance(seen, Dict) else seen:
            yield from _unserved(part)
    elif not isinstance(seen, Box | Discrete | MultiBinary | MultiDiscrete):
        yield seen


def environment_name(env: gym.Env[Any, Any]) -> str:
    """Name an environment in an error: its id, or its class."""
    return env.spec.id if env.spec else type(env.unwrapped).__name__


def check_spaces(env: gym.Env[Any, Any], *, state_dim: int, action_dim: int, discrete: bool = False) -> ActionUnits:
    """Return the action units of an environment that the agent fits.

    Args:
        discrete: whether the agent chooses from ``action_dim`` actions.

    Raises:
        SpaceError: if observations aren't ``state_dim`` numbers once they are flattened, or actions aren't a flat
            bounded box of ``action_dim`` numbers, or ``action_dim`` discrete ones.
    """
    name, size = environment_name(env), observation_size(env)
    if size != state_dim:
        raise SpaceError(f"{name}: observations have {size} numbers, the agent expects state_dim={state_dim}")
    check_actions = _discrete_actions if discrete else _bounded_actions
    return check_actions(name, env.action_space, action_dim)


def _discrete_actions(name: str, acted: Any, action_dim: int) -> DiscreteActions:
    from gymnasium.spaces import Discrete

    if not isinstance(acted, Discrete):
        raise SpaceError(f"{name}: expected discrete actions, got {acted}; make the agent with discrete=False")
    if acted.n != action_dim:
        raise SpaceError(f"{name}: there are {acted.n} actions, the agent chooses from action_dim={action_dim}")
    return DiscreteActions(int(acted.n), int(acted.start))


def _bounded_actions(name: str, acted: Any, action_dim: int) -> ActionBounds:
    from gymnasium.spaces import Box

    if not isinstance(acted, Box) or len(acted.shape) != 1:
        raise SpaceError(
            f"{name}: expected continuous actions (a flat Box), got {acted}; choose another environment, or for "
            "discrete actions LiquidPPO or LiquidSAC with discrete=True"
        )
    if not np.issubdtype(acted.dtype, np.floating):
        raise SpaceError(
            f"{name}: expected actions of floating-point numbers, got {acted}; offer a choice as a Discrete space, or "
            "round numbers in gymnasium.wrappers.TransformAction"
        )
    if acted.shape[0] != action_dim:
        raise SpaceError(f"{name}: actions have {acted.shape[0]} numbers, the agent gives action_dim={action_dim}")
    largest = max(np.abs(acted.low).max(), np.abs(acted.high).max())
    if not (largest < HUGE and (acted.low < acted.high).all()):
        raise SpaceError(
            f"{name}: expected actions with finite bounds, got {acted}; "
            "bound them with gymnasium.wrappers.RescaleAction or TransformAction"
        )
    return ActionBounds(tuple(map(float, acted.low)), tuple(map(float, acted.high)))
