"""The settings of a run that aren't what ``velora train`` takes for the same agent and environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from velora.cli.command.arguments import written
from velora.cli.command.compose import composing, config_dir
from velora.cli.run.resume import leaves
from velora.cli.settings import budget
from velora.models.keywords import AGENTS


def changed_settings(settings: DictConfig) -> list[str]:
    """Write the words that make the settings of a run from the defaults.

    An agent and an environment that have a file in ``conf/`` are named by it, and give their defaults.
    """
    choices = list(_choices(settings))
    try:
        with composing():
            usual = compose("train", choices)
            known = dict(leaves(usual))
    except (HydraException, OmegaConfBaseException):  # of another version, which had other groups
        with composing():
            known, choices = dict(leaves(compose("train"))), []
    changed = {name: value for name, value in leaves(settings) if name not in known or known[name] != value}
    changed.pop(budget.implied(changed) or "", None)
    return [*choices, *(_word(name, value, known) for name, value in changed.items())]


def _choices(settings: DictConfig) -> Iterator[str]:
    """Choose the files of agent and environment."""
    target = OmegaConf.select(settings, "agent._target_")
    yield from (f"agent={key}" for key, (path, _) in AGENTS.items() if path == target)
    env_id = OmegaConf.select(settings, "env.id")
    named = (path.stem for path in _files("env") if yaml.safe_load(path.read_text(encoding="utf-8"))["id"] == env_id)
    yield next((f"env={name}" for name in named), written("env.id", str(env_id)))


def _files(group: str) -> list[Path]:
    return sorted((config_dir() / group).glob("*.yaml"))


def _word(name: str, value: Any, known: dict[str, Any]) -> str:
    added = "" if name in known else "+"
    if isinstance(value, str):
        return added + written(name, value)
    return f"{added}{name}={json.dumps(value, separators=(',', ':'))}"
