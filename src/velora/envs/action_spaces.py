"""Which action spaces an agent serves, and what to do about the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from velora.core.errors import SpaceError
from velora.envs.actions import HUGE, ActionBounds, DiscreteActions

if TYPE_CHECKING:
    import gymnasium as gym


def acting_space(env: gym.Env[Any, Any]) -> Any:
    """Return the space that an agent chooses actions from: that of the environment.

    Gymnasium's ``ClipAction`` takes any action and clips it into a box. Actions of agents lie in a box already, so it
    is that box which counts.
    """
    from gymnasium import Wrapper
    from gymnasium.wrappers import ClipAction

    acted, layer = own_space(env, "action_space"), env
    while isinstance(layer, Wrapper) and layer.action_space is acted:
        if type(layer) is ClipAction:
            return acting_space(layer.env)
        layer = layer.env
    return acted


def own_space(env: gym.Env[Any, Any], name: str) -> Any:
    """Return a space of an environment.

    Raises:
        SpaceError: if it has none of that name.
    """
    from gymnasium import Space

    found = getattr(env, name, None)
    if not isinstance(found, Space):
        raise SpaceError(
            f"{type(env.unwrapped).__name__}: expected its {name} to be a space of gymnasium.spaces, got {found!r}"
        )
    return found


def is_discrete(env: gym.Env[Any, Any]) -> bool:
    """Return whether an environment lets one choose from a number of actions."""
    from gymnasium.spaces import Discrete

    return isinstance(acting_space(env), Discrete)


OTHERS_CHOOSE = "make LiquidPPO or LiquidSAC with discrete=True"
"""How to come by an agent of discrete actions, where the one at hand gives numbers alone."""


def discrete_actions(name: str, acted: Any, action_dim: int, chooses: str = OTHERS_CHOOSE) -> DiscreteActions:
    """Return the units of a discrete action space.

    Args:
        chooses: how to come by an agent of discrete actions, for errors.

    Raises:
        SpaceError: if it is another one, or has another number of actions than ``action_dim``.
    """
    from gymnasium.spaces import Discrete

    if not isinstance(acted, Discrete):
        advice = _advice(acted, chooses, wanted="discrete")
        raise SpaceError(f"{name}: expected discrete actions, got {_shown(acted)}; {advice}")
    if acted.n != action_dim:
        raise SpaceError(f"{name}: there are {acted.n} actions, the agent chooses from action_dim={action_dim}")
    return DiscreteActions(int(acted.n), int(acted.start))


def bounded_actions(name: str, acted: Any, action_dim: int, chooses: str = OTHERS_CHOOSE) -> ActionBounds:
    """Return the units of a flat bounded box of actions.

    Args:
        chooses: how to come by an agent of discrete actions, for errors.

    Raises:
        SpaceError: if it is another space, or has another size than ``action_dim``.
    """
    from gymnasium.spaces import Box

    if not isinstance(acted, Box) or len(acted.shape) != 1:
        advice = _advice(acted, chooses, wanted="box")
        raise SpaceError(f"{name}: expected continuous actions (a flat Box), got {_shown(acted)}; {advice}")
    if not np.issubdtype(acted.dtype, np.floating):
        raise SpaceError(
            f"{name}: expected actions of floating-point numbers, got {acted}; offer a choice as a Discrete space, or "
            "round numbers in gymnasium.wrappers.TransformAction"
        )
    if acted.shape[0] != action_dim:
        raise SpaceError(f"{name}: actions have {acted.shape[0]} numbers, the agent gives action_dim={action_dim}")
    largest = max(np.abs(acted.low).max(), np.abs(acted.high).max())
    bounds = ActionBounds(tuple(map(float, acted.low)), tuple(map(float, acted.high)))
    if not (largest < HUGE and (acted.low < acted.high).all() and bounds.has_room):
        raise SpaceError(
            f"{name}: expected actions with finite bounds, low below high, got {_shown(acted)}; give them some with "
            "gymnasium.wrappers.TransformAction(env, lambda action: action, gymnasium.spaces.Box(-1.0, 1.0, "
            f"{acted.shape}))"
        )
    return bounds


def _advice(acted: Any, chooses: str, *, wanted: str) -> str:
    """Advise how to get a space of actions that agents support."""
    from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

    wrapper = "wrap the environment in gymnasium.wrappers.TransformAction"
    and_choose = f", and {chooses}" if chooses and wanted != "discrete" else ""
    if isinstance(acted, MultiDiscrete) and len(acted.shape) == 1:
        n, start = [int(one) for one in acted.nvec], np.asarray(acted.start)
        first = f" + {start.tolist()}" if start.any() else ""
        return (
            f"number their combinations: {wrapper}(env, lambda n: numpy.array(numpy.unravel_index(n, {tuple(n)}))"
            f"{first}, gymnasium.spaces.Discrete({int(np.prod(n))})){and_choose}"
        )
    if isinstance(acted, MultiBinary) and len(acted.shape) == 1:
        n = [2] * acted.shape[0]
        return (
            f"number their combinations: {wrapper}(env, lambda n: numpy.array(numpy.unravel_index(n, {tuple(n)}), "
            f"numpy.int8), gymnasium.spaces.Discrete({2 ** len(n)})){and_choose}"
        )
    if isinstance(acted, Discrete):
        return f"choose another environment, or {chooses}"
    if isinstance(acted, Box) and len(acted.shape) == 1:
        return "make the agent with discrete=False"
    if isinstance(acted, Box):
        size = int(np.prod(acted.shape))
        return (
            f"make them flat: {wrapper}(env, lambda action: action.reshape({acted.shape}), gymnasium.spaces.Box("
            f"env.action_space.low.reshape({size}), env.action_space.high.reshape({size})))"
        )
    one = "one Discrete space" if wanted == "discrete" else "one flat Box, or one Discrete space"
    return f"no agent gives such actions: {wrapper}, which makes them from an action of {one}"


def _shown(acted: Any) -> str:
    return " ".join(str(acted).split())
