"""The environment that a policy is calibrated and judged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velora.core.errors import ExportError, SpaceError, VeloraError
from velora.envs import EnvironmentSource, check_spaces, dimensions, values
from velora.envs.gymnasium_wrappers import GYMNASIUM
from velora.envs.make import Env, flattened
from velora.envs.said import unsaid
from velora.envs.wrappers import wrap
from velora.models.agent import Agent

NO_DATA = "dtype=int8: calibration needs episodes of the environment"


def open_environment(agent: Agent, env: str | None = None) -> Env:
    """Make the environment that an agent was trained in, with its wrappers.

    Args:
        env: id of another one, with the same wrappers; ``my_module:MyEnv-v0`` imports the module that registers it.

    Raises:
        ExportError: if the agent knows none, it can't be made, or it doesn't fit.
    """
    saved = agent.environment
    if saved is None and env is None:
        raise ExportError(f"{NO_DATA}, and the agent names none; give one, such as env=Pendulum-v1")
    if env is None and saved is not None:
        _check(saved)
    try:
        made = _make(saved or {}, env)
    except (VeloraError, TypeError, ImportError) as error:
        raise ExportError(f"{NO_DATA}: {str(error).partition(chr(10))[0]}; give another as env=") from error
    if dimensions(made)[0] != agent.settings.state_dim:
        made.close()
        raise ExportError(
            f"{NO_DATA}: expected observations of {agent.settings.state_dim} numbers, as the agent was trained with, "
            f"got {dimensions(made)[0]} from {env or (saved or {}).get('id')}; give another as env="
        )
    settings = agent.settings
    try:
        check_spaces(
            made, state_dim=settings.state_dim, action_dim=settings.action_dim, discrete=agent.discrete, chooses=""
        )
    except SpaceError as error:
        made.close()
        raise ExportError(f"{NO_DATA}: {str(error).partition(';')[0]}; give another as env=") from error
    return made


def _make(saved: Mapping[str, Any], env: str | None) -> Env:
    kwargs: dict[str, Any] = {}
    if env is None or env.rpartition(":")[2] == str(saved.get("id", "")).rpartition(":")[2]:
        kwargs = values.arguments(saved.get("kwargs", {}))
        if "max_episode_steps" in saved:
            limit = saved["max_episode_steps"]
            kwargs = {"max_episode_steps": -1 if limit is None else limit, **kwargs}
    wrappers = saved.get("wrappers", ())
    made = EnvironmentSource(env or saved["id"], kwargs).make(flat=False)
    if not any(one["name"] in GYMNASIUM for one in wrappers):
        made = flattened(made)
    return flattened(wrap(made, wrappers))


def _check(saved: Mapping[str, Any]) -> None:
    """Refuse what a file may not decide: a module to import, or a keyword that may name code or a place.

    Raises:
        ExportError: naming the first.
    """
    name = saved["id"]
    if missing := unsaid(saved):
        raise ExportError(
            f"{NO_DATA}, and the agent was trained in {name} with what a checkpoint can't hold: {', '.join(missing)}; "
            f"give one that has it, or play without it, as env={name}"
        )
    if ":" in name:
        raise ExportError(f"{NO_DATA}, and {name!r} would import a module; if you trust it, add env={name}")
    for keyword, value in dict(saved.get("kwargs", {})).items():
        if not isinstance(value, bool | int | float | None) and not str(value).isidentifier():
            raise ExportError(
                f"{NO_DATA}, and its keyword {keyword} may name code or a place; if you trust it, register an "
                f"environment that has it, and add env=my_module:MyEnv-v0"
            )
