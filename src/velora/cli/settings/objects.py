"""Make the objects of a run from its settings: environment, agent and callbacks; its loggers are made beside."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from velora.callbacks import Callback, SaveCheckpoints
from velora.cli.settings.instantiate import import_cell, instantiate, locate_class, takes
from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource, dimensions, flattened, image_settings, is_discrete, privileged_size
from velora.envs.gymnasium_wrappers import GYMNASIUM
from velora.envs.images import covering_wrapper
from velora.envs.make import Env
from velora.envs.spaces import environment_name
from velora.envs.wrappers import KNOWN, wrap
from velora.models import Agent
from velora.models.keywords import AGENTS

log = logging.getLogger(__name__)

Wrappers: TypeAlias = Sequence[Mapping[str, Any]]
"""Wrappers as :func:`velora.envs.wrappers.wrap` takes them."""


def chosen_wrappers(env: DictConfig) -> dict[str, Mapping[str, Any] | None]:
    """Read from the settings which wrappers are put around the environment.

    Returns:
        For every wrapper that the settings mention, its description as :func:`velora.envs.wrappers.wrap` takes it, or
        ``None`` if it is left out.

    Raises:
        SettingError: if an option of a wrapper is set that is left out.
    """
    found: dict[str, Mapping[str, Any] | None] = {}
    for name, row in KNOWN.items():
        if env.get(row.group) is None:
            continue
        own: Any = OmegaConf.to_container(env[row.group], resolve=True)
        switch, first = next(iter(own.items()))
        is_on = first is not None or (row.each and any(value is not None for value in own.values()))
        if row.switch is not None:
            is_on = own.pop(row.switch) is True
        kwargs = {key: value for key, value in own.items() if value is not None}
        if kwargs and not is_on:
            group, idle = row.group, next(iter(kwargs))
            raise SettingError(
                f"env.{group}.{idle}: says nothing without env.{group}.{switch}; give that too, or choose one with "
                f"env/{group}=..."
            )
        found[name] = {"name": name, "kwargs": kwargs} if is_on else None
    return found


def merged(saved: Wrappers, chosen: Mapping[str, Mapping[str, Any] | None]) -> Wrappers:
    """Replace saved wrappers by chosen ones of the same kind; insert the others at the place of their kind."""
    kept = [chosen.get(one["name"], one) for one in saved]
    found = [one for one in kept if one is not None]
    order = list(KNOWN)
    for name, one in chosen.items():
        if one is not None and all(other["name"] != name for other in found):
            outside = (
                at
                for at, other in enumerate(found)
                if other["name"] in order and order.index(other["name"]) > order.index(name)
            )
            found.insert(next(outside, len(found)), one)
    return found


def make_environment(
    env_id: str, kwargs: Mapping[str, Any], *, wrappers: Wrappers = (), render: str | None = None
) -> Env:
    """Make a registered environment with flat observations, and wrappers around it.

    Args:
        env_id: its Gymnasium id; ``my_module:MyEnv-v0`` imports the module that registers it first.
        kwargs: keywords for ``gymnasium.make``.
        wrappers: from the inside out.
        render: a render mode, such as ``"human"``.

    Raises:
        SpaceError: if the id is unknown, something the environment needs isn't installed, its observations
            aren't numbers, or it can't be wrapped.
        SettingError: if the environment doesn't take a keyword, or a wrapper a setting.
    """
    env = _make_bare(env_id, dict(kwargs) if render is None else {**kwargs, "render_mode": render})
    if not any(one["name"] in GYMNASIUM for one in wrappers):
        env = flattened(env)
    for one in wrappers:
        try:
            env = wrap(env, [one])
        except (SettingError, SpaceError) as error:
            env.close()
            row = KNOWN.get(one["name"])
            raise type(error)(f"env: {error}" if row is None else f"env.{row.group}.{error}") from error
    return flattened(env)


def _make_bare(env_id: str, given: Mapping[str, Any]) -> Env:
    try:
        return EnvironmentSource(env_id, given).make(flat=False)
    except gym.error.Error as error:
        raise SpaceError(f"env: {env_id} can't be made: {str(error).splitlines()[0]}") from error
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise SettingError(f"env.kwargs: {env_id} takes other keywords: {str(error).splitlines()[0]}") from error


def fitting_agents(*, discrete: bool) -> list[str]:
    """Name the agents that can act in an environment, as the group ``agent`` offers them."""
    return [name for name, (_, keywords) in AGENTS.items() if not discrete or "discrete" in keywords.__annotations__]


def make_agent(cfg: DictConfig, env: Env, *, device: torch.device, kernel: str, seeds: Sequence[int]) -> Agent:
    """Make the agent for an environment, which decides its dimensions.

    Raises:
        SettingError, SpaceError: if a setting is out of its domain, the environment doesn't fit, or there are more
            seeds than memory holds.
    """
    import_cell(cfg.get("cell"))
    known = takes(locate_class("agent", cfg)) or ()
    choosing = f"choose {' or '.join(f'agent={name}' for name in fitting_agents(discrete=True))}"
    state_dim, action_dim = dimensions(env, "" if "discrete" in known else choosing)
    own: dict[str, Any] = {"seed": seeds[0]} if len(seeds) == 1 else {"seeds": list(seeds)}
    if is_discrete(env) and "discrete" in known:
        own["discrete"] = True
    if "image" in known:
        own |= _image(cfg, env)
    if "privileged" in known and not cfg.get("privileged") and (size := privileged_size(env)):
        own["privileged"] = size
    try:
        agent = instantiate(
            "agent", cfg, state_dim=state_dim, action_dim=action_dim, device=device, kernel=kernel, **own
        )
    except SettingError as error:
        text = str(error)
        if text.startswith("agent: seeds:"):
            text = text.replace("agent: seeds:", "train.seeds:", 1)
            for name in ("buffer_size", "rollout_steps"):
                text = text.replace(name, f"agent.{name}")
        raise SettingError(text) from error
    if not isinstance(agent, Agent):
        raise SettingError(f"agent._target_: expected a subclass of velora.models.Agent, got {type(agent).__name__}")
    if is_discrete(env) and not agent.discrete:
        own_name = type(agent).__name__
        raise SpaceError(f"{own_name} gives numbers, and {environment_name(env)} has discrete actions; {choosing}")
    agent.adapt(env)
    return agent


def _image(cfg: DictConfig, env: Env) -> dict[str, Any]:
    """Return the agent's settings for images: those of the environment where ``agent.image`` isn't set.

    With ``agent.image=false`` the agent reads the pixels of an image as plain numbers.

    Raises:
        SettingError: if ``image`` is neither a shape nor ``false``.
    """
    chosen = cfg.get("image")
    if chosen is None:
        if (covering := covering_wrapper(env)) is not None:
            log.warning(
                "env: the agent reads what %s makes of images as plain numbers, pixel by pixel; leave it out for a "
                "convolutional encoder, or say that it is meant: agent.image=false",
                covering,
            )
        return {name: value for name, value in image_settings(env).items() if cfg.get(name) is None}
    if chosen is False:
        return {"image": None}
    if not isinstance(chosen, ListConfig):
        raise SettingError(f"agent.image: expected a shape such as [64,64,3], or false, got {chosen!r}")
    return {}


def make_callbacks(callbacks: DictConfig, checkpoint: DictConfig, checkpoint_dir: Path) -> list[Callback]:
    """Make the callbacks; the one that saves checkpoints comes last, so that the others' state is up to date.

    An entry set to null is left out.

    Raises:
        SettingError: if an entry isn't a callback.
    """
    made: list[Callback] = []
    for name, node in entries("callbacks", callbacks):
        made.append(instantiate(name, node))
    if saves(checkpoint):
        made.append(_make_saver(checkpoint, checkpoint_dir))
    return made


def saves(checkpoint: DictConfig) -> bool:
    """Return whether the settings ask for any checkpoint."""
    given = (checkpoint[name] for name in ("frequency", "steps", "minutes"))
    return bool(checkpoint.final or any(value is not None for value in given))


def _make_saver(cfg: DictConfig, directory: Path) -> SaveCheckpoints:
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    try:
        return SaveCheckpoints(directory, **settings)
    except SettingError as error:
        raise SettingError(str(error).replace("save_checkpoints.", "checkpoint.")) from error


def entries(group: str, cfg: DictConfig) -> list[tuple[str, Any]]:
    """List the entries of a group under their full names."""
    return [(f"{group}.{key!s}", node) for key, node in cfg.items() if node is not None]
