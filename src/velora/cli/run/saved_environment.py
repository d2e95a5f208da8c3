"""The environment that an agent was trained in, as its checkpoint names it and the command line changes it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from omegaconf import DictConfig, OmegaConf

from velora.checkpoint.layout import CHECKPOINTS
from velora.cli.run import trust
from velora.cli.run.run_directory import load_settings
from velora.cli.settings.objects import Wrappers
from velora.core.errors import CheckpointError, SpaceError, VeloraError
from velora.envs import values
from velora.envs.gymnasium_wrappers import GYMNASIUM
from velora.envs.said import unsaid
from velora.envs.wrappers import KNOWN

log = logging.getLogger(__name__)


def chosen_environment(cfg: DictConfig, path: Path, saved: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    """Return id and keywords of the environment: the command line's, or else those that the agent was trained in.

    Where the command line names the saved environment, maybe with the module in front that registers it, its keywords
    and time limit stay.

    Raises:
        CheckpointError: if neither names one, or the checkpoint names a module to import, or couldn't hold all of it.
    """
    _check_whole(cfg, path, saved)
    kwargs: Any = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    given = cfg.env.id
    if given is not None and not _names(given, saved):
        return given, kwargs
    if saved is None:
        raise CheckpointError(f"{path}: names no environment; give one, such as env=pendulum or env.id=Pendulum-v1")
    if given is None and ":" in saved["id"]:
        raise CheckpointError(
            f"{path}: its environment {saved['id']!r} would import a module; if you trust it, add env.id={saved['id']}"
        )
    if given is None:
        _check_registered(path, saved["id"])
    made = _as_made(path, saved)
    _check_trusted(path, {name: value for name, value in made.items() if name not in kwargs})
    return given or saved["id"], {**made, **kwargs}


def _check_registered(path: Path, env_id: str) -> None:
    """Refuse an environment that nothing imported so far registers: a checkpoint imports no module.

    Raises:
        CheckpointError: naming the module as the run's settings do, if they are there.
    """
    kind = env_id.rpartition("-v")[0]
    if env_id in gym.registry or any(kind and known.rpartition("-v")[0] == kind for known in gym.registry):
        return  # or a version that is gone, of which Gymnasium says what to take instead
    named = _named_in_settings(path)
    names_it = named.rpartition(":")[2] == env_id and named != env_id
    wanted = (
        f"if you trust it, add env.id={named}" if names_it else f"name the module that does: env.id=my_module:{env_id}"
    )
    raise CheckpointError(
        f"{path}: nothing registers its environment {env_id!r} here, and a checkpoint imports no module; {wanted}"
    )


def _named_in_settings(path: Path) -> str:
    """Return the environment's id in the ``config.yaml`` of the run that a checkpoint is in; "" if there is none."""
    for directory in path.absolute().parents:
        if directory.name == CHECKPOINTS:
            try:
                return str(OmegaConf.select(load_settings(directory.parent), "env.id"))
            except VeloraError:
                return ""
    return ""


def _check_trusted(path: Path, kwargs: Mapping[str, Any]) -> None:
    """Refuse keywords of a checkpoint that name code or a place outside of its directory.

    Raises:
        CheckpointError: naming the first; the command line may give it.
    """
    for name, value in kwargs.items():
        kept = {"env": {"kwargs": {name: value}}}
        if any((*trust.foreign_code(kept), *trust.foreign_places(kept, path))):
            raise CheckpointError(
                f"{path}: environment: its keyword {name} names code, or a place outside of the run; if you trust it, "
                f"add +env.kwargs.{name}=..."
            )


def _as_made(path: Path, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that make an environment as it was made for training, its time limit among them."""
    try:
        kwargs = values.arguments(saved.get("kwargs", {}))
    except SpaceError as error:
        raise CheckpointError(f"{path}: environment: kwargs: {error}") from error
    if "max_episode_steps" in saved:
        limit = saved["max_episode_steps"]
        kwargs = {"max_episode_steps": -1 if limit is None else limit, **kwargs}
    return kwargs


def _check_whole(cfg: DictConfig, path: Path, saved: Mapping[str, Any] | None) -> None:
    """Refuse to play in another environment than that of training, unless the command line names one.

    Raises:
        CheckpointError: if the checkpoint couldn't hold all of it; the message says what is missing.
    """
    missing = unsaid(saved)
    if missing and saved is not None:
        if cfg.env.id is None:
            raise CheckpointError(
                f"{path}: it was trained in {saved['id']} with what a checkpoint can't hold: {', '.join(missing)}; "
                "register an environment that has it, and give it as env.id=my_module:MyEnv-v0, or play without it: "
                f"env.id={saved['id']}"
            )
        log.warning("%s: trained with what %s may not have: %s", path, cfg.env.id, ", ".join(missing))


def saved_wrappers(path: Path, saved: Mapping[str, Any] | None) -> Wrappers:
    """Return the wrappers that an agent was trained with; it is evaluated with them in any environment.

    Raises:
        CheckpointError: if one is neither Velora's nor one of Gymnasium's that may be named.
    """
    wrappers: Wrappers = (saved or {}).get("wrappers", ())
    unknown = [one["name"] for one in wrappers if one["name"] not in KNOWN and one["name"] not in GYMNASIUM]
    if unknown:
        raise CheckpointError(
            f"{path}: environment: this version has no wrapper {unknown[0]!r}, only {', '.join(KNOWN)}, and of "
            f"Gymnasium {', '.join(GYMNASIUM)}"
        )
    return wrappers


def _names(given: str, saved: Mapping[str, Any] | None) -> bool:
    """Return whether an id is the saved environment's, with or without the module that registers it in front."""
    return saved is not None and given.rpartition(":")[2] == saved["id"].rpartition(":")[2]
