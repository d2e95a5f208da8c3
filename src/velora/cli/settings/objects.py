"""From settings to the agent, the callbacks and the loggers of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig

from velora.callbacks import Callback, SaveCheckpoints
from velora.cli.settings.instantiate import instantiate, locate_class, takes
from velora.core.errors import SettingError
from velora.envs import dimensions, image_settings, is_discrete
from velora.envs.images import covering_wrapper
from velora.envs.make import Env
from velora.models import Agent

log = logging.getLogger(__name__)


def make_agent(cfg: DictConfig, env: Env, *, device: torch.device, kernel: str, seeds: Sequence[int]) -> Agent:
    """Make the agent for an environment; its dimensions follow from that.

    Raises:
        SettingError, SpaceError: if a setting is out of its domain, the environment doesn't fit, or there are more
            seeds than memory holds.
    """
    state_dim, action_dim = dimensions(env)
    own: dict[str, Any] = {"seed": seeds[0]} if len(seeds) == 1 else {"seeds": list(seeds)}
    known = takes(locate_class("agent", cfg)) or ()
    if is_discrete(env) and "discrete" in known:
        own["discrete"] = True
    if "image" in known:
        own |= _image(cfg, env)
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
    agent.adapt(env)
    return agent


def _image(cfg: DictConfig, env: Env) -> dict[str, Any]:
    """Say what images an environment shows, where the settings don't; ``image=false`` reads their numbers as they come.

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
    """Make the callbacks, the one that saves checkpoints last, so that it saves what the others have done.

    An entry set to null is left out.

    Raises:
        SettingError: if an entry isn't a callback.
    """
    made: list[Callback] = []
    for name, node in _entries("callbacks", callbacks):
        made.append(instantiate(name, node))
    if checkpoint.frequency is not None or checkpoint.final:
        made.append(_make_saver(checkpoint, checkpoint_dir))
    return made


def _make_saver(cfg: DictConfig, directory: Path) -> SaveCheckpoints:
    try:
        return SaveCheckpoints(
            directory, frequency=cfg.frequency, buffer=cfg.buffer, keep_last=cfg.keep_last, final=cfg.final
        )
    except SettingError as error:
        raise SettingError(str(error).replace("save_checkpoints.", "checkpoint.")) from error


def make_loggers(cfg: DictConfig, run_dir: Path) -> list[Any]:
    """Make the loggers; those that write files do so in the run directory, unless they are told otherwise.

    Raises:
        SettingError: if an entry isn't a logger, or its package isn't installed.
    """
    made = []
    for name, node in _entries("logger", cfg):
        known = takes(locate_class(name, node)) or {"save_dir"}
        needs_dir = "save_dir" in known and "save_dir" not in node
        made.append(instantiate(name, node, **({"save_dir": str(run_dir)} if needs_dir else {})))
    return made


def _entries(group: str, cfg: DictConfig) -> list[tuple[str, Any]]:
    """List the entries of a group under their full names."""
    return [(f"{group}.{key!s}", node) for key, node in cfg.items() if node is not None]
