"""Which spaces an agent serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from velora.core.errors import SpaceError
from velora.envs.action_spaces import (
    OTHERS_CHOOSE,
    acting_space,
    bounded_actions,
    discrete_actions,
    is_discrete,
    own_space,
)
from velora.envs.actions import ActionUnits

if TYPE_CHECKING:
    import gymnasium as gym


def dimensions(env: gym.Env[Any, Any], chooses: str = OTHERS_CHOOSE) -> tuple[int, int]:
    """Return what an agent for an environment takes as ``state_dim`` and ``action_dim`` (O, A).

    Args:
        chooses: how to come by an agent of discrete actions, for errors; "" has one at hand.

    Raises:
        SpaceError: if no agent can serve the environment.

    Example:
        >>> import gymnasium as gym
        >>> dimensions(gym.make("FrozenLake-v1")), dimensions(gym.make("Blackjack-v1"))
        ((16, 4), (45, 2))
    """
    from gymnasium.spaces import Discrete

    acted = acting_space(env)
    state_dim = observation_size(env)
    action_dim = int(acted.n) if isinstance(acted, Discrete) else acted.shape[0] if acted.shape else 1
    check_spaces(env, state_dim=state_dim, action_dim=action_dim, discrete=is_discrete(env), chooses=chooses)
    return state_dim, action_dim


def observation_size(env: gym.Env[Any, Any]) -> int:
    """Count the numbers of an observation once it is flattened; see :func:`velora.envs.flattened`.

    Raises:
        SpaceError: if there are none, or a part of the observation can't be flattened.
    """
    from gymnasium.spaces import Box, flatdim

    seen = own_space(env, "observation_space")
    if isinstance(seen, Box) and len(seen.shape) == 1 and seen.shape[0]:
        return int(seen.shape[0])
    for part in _unserved(seen):
        raise SpaceError(
            f"{environment_name(env)}: expected observations of Box, Discrete, MultiDiscrete and MultiBinary spaces, "
            f"in Dict and Tuple where there are several, got {part}; turn it into numbers with "
            "gymnasium.wrappers.TransformObservation"
        )
    size = int(flatdim(seen))
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
    known = env.unwrapped.spec  # that of a wrapper copies all arguments
    return known.id if known else type(env.unwrapped).__name__


def check_spaces(
    env: gym.Env[Any, Any],
    *,
    state_dim: int,
    action_dim: int,
    discrete: bool = False,
    chooses: str = OTHERS_CHOOSE,
) -> ActionUnits:
    """Return the action units of an environment that the agent fits.

    Args:
        discrete: whether the agent chooses from ``action_dim`` actions.
        chooses: how to come by an agent that does, for errors.

    Raises:
        SpaceError: if observations aren't ``state_dim`` numbers once they are flattened, or actions aren't a flat
            bounded box of ``action_dim`` numbers, or ``action_dim`` discrete ones.
    """
    name, size = environment_name(env), observation_size(env)
    if size != state_dim:
        raise SpaceError(f"{name}: observations have {size} numbers, the agent expects state_dim={state_dim}")
    check_actions = discrete_actions if discrete else bounded_actions
    return check_actions(name, acting_space(env), action_dim, chooses)
