"""Make the environment that settings or a checkpoint name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Discrete

from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource, check_spaces, is_discrete
from velora.envs.make import Env


def make_environment(env_id: str, kwargs: Mapping[str, Any], *, render: str | None = None) -> Env:
    """Make a registered environment.

    Args:
        env_id: its Gymnasium id; ``my_module:MyEnv-v0`` imports the module that registers it first.
        kwargs: keywords for ``gymnasium.make``.
        render: a render mode, such as ``"human"``.

    Raises:
        SpaceError: if the id is unknown, or something the environment needs isn't installed.
        SettingError: if the environment doesn't take a keyword.
    """
    given = dict(kwargs) if render is None else {**kwargs, "render_mode": render}
    try:
        return EnvironmentSource(env_id, given).make()
    except gym.error.Error as error:
        raise SpaceError(f"env: {env_id} can't be made: {str(error).splitlines()[0]}") from error
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise SettingError(f"env.kwargs: {env_id} takes other keywords: {str(error).splitlines()[0]}") from error


def dimensions(env: Env) -> tuple[int, int]:
    """Return the numbers in an observation and in an action, or how many discrete actions there are (O, A).

    Raises:
        SpaceError: if no agent can serve the environment.
    """
    seen, acted = env.observation_space, env.action_space
    state_dim = seen.shape[0] if seen.shape else 1
    action_dim = int(acted.n) if isinstance(acted, Discrete) else acted.shape[0] if acted.shape else 1
    check_spaces(env, state_dim=state_dim, action_dim=action_dim, discrete=is_discrete(env))
    return state_dim, action_dim
