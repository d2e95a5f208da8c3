"""An agent from a checkpoint, and an environment for it to play in, as the settings of a command say."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig

from velora.checkpoint import Checkpoint
from velora.cli.command.arguments import written
from velora.cli.run import run_directory
from velora.cli.run.saved_environment import chosen_environment, saved_wrappers
from velora.cli.settings.instantiate import import_cell, locate_class
from velora.cli.settings.objects import chosen_wrappers, make_environment, merged
from velora.core import zoo
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, SettingError
from velora.envs.make import Env
from velora.models import Agent
from velora.models.loading import find_class
from velora.nn.cells.registry import find_row, is_foreign


def given_checkpoint(cfg: DictConfig) -> tuple[Path, Path]:
    """Return the run or checkpoint that was given, and the directory that relative paths begin at.

    That is where the command was typed: an environment may change the current directory, and so may Hydra.

    Raises:
        SettingError: if none was.
        CheckpointError: if the zoo has no agent of the name that was given.
    """
    if cfg.checkpoint.path is None:
        raise SettingError("checkpoint: needs a value; give a run or one of its checkpoints as checkpoint=...")
    given, here = zoo.resolve(cfg.checkpoint.path), run_directory.started_in()
    return (given if here == Path.cwd() else here / given), here


def load_agent(cfg: DictConfig, path: Path) -> tuple[Agent, int]:
    """Load the agent of a checkpoint on the device of the settings; return it and its seed.

    Raises:
        CheckpointError: if it can't be loaded.
        SettingError: if a setting is out of its domain.
    """
    checkpoint = Checkpoint.open(path)
    agent = _find_class(cfg, checkpoint).load(path, device=_choose_device(cfg.device), kernel=cfg.device.kernel)
    return agent, checkpoint.metadata.seed


def open_environment(cfg: DictConfig, path: Path, agent: Agent, *, render: str | None) -> tuple[Env, str]:
    """Make the environment that the agent was trained in, or the one that the settings name; return it and its id.

    Args:
        path: the checkpoint, for errors.
        render: a render mode.

    Raises:
        VeloraError: if it can't be made.
    """
    env_id, kwargs = chosen_environment(cfg, path, agent.environment)
    wrappers = merged(saved_wrappers(path, agent.environment), chosen_wrappers(cfg.env))
    return make_environment(env_id, kwargs, wrappers=wrappers, render=render), env_id


def _find_class(cfg: DictConfig, checkpoint: Checkpoint) -> type[Agent]:
    """Look the agent's class up by its key; code from outside Velora is imported first, if the command line names it.

    Raises:
        CheckpointError: if no class has the key, or nothing has registered the cell.
    """
    if cfg.agent._target_ is not None:
        locate_class("agent", cfg.agent)
    import_cell(cfg.agent.cell)
    cell = checkpoint.metadata.settings.get("cell")
    if is_foreign(cell) and find_row(str(cell)) is None:
        raise CheckpointError(
            f"{checkpoint.path}: its cell {str(cell)[:100]!r} is code from outside Velora; if you trust it, add "
            f"{written('agent.cell', str(cell))}"
        )
    return find_class(checkpoint, advice="name a class of your own: agent._target_=my_module.MyAgent")


def _choose_device(cfg: DictConfig) -> torch.device:
    """Set the number of threads, and return the device."""
    if cfg.threads is not None:
        if cfg.threads < 1:
            raise SettingError(f"device.threads: expected at least 1, got {cfg.threads}")
        torch.set_num_threads(cfg.threads)
    return set_device(cfg.name)
