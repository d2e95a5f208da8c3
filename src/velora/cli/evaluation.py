"""What ``velora evaluate`` runs: an agent from a checkpoint, without noise and without learning."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from velora.checkpoint import Checkpoint, agents
from velora.cli.choice import choose_checkpoint
from velora.cli.environment import dimensions, make_environment
from velora.core import seeding
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, SettingError
from velora.envs import Environments, EnvironmentSource
from velora.envs.make import Env
from velora.models import Agent
from velora.training.evaluation import EvaluationEnvironments, evaluate, evaluation_seeds

OTHER_EPISODES = 2
"""Coordinate of reset seeds for ``seed=``: neither those of training (0) nor those of its evaluation (1)."""


def run_evaluation(cfg: DictConfig, run_dir: Path) -> float:
    """Print the return of every episode, their mean and deviation, and all of it as one line of JSON at the end.

    Args:
        cfg: settings of the shape of ``conf/evaluate.yaml``.
        run_dir: not used; evaluating writes nothing.

    Returns:
        The mean return.

    Raises:
        VeloraError: if the checkpoint can't be loaded, or its environment not be made.
    """
    if cfg.episodes < 1:
        raise SettingError(f"episodes: expected at least 1, got {cfg.episodes}")
    if cfg.checkpoint.path is None:
        raise SettingError("checkpoint: needs a value; give a run or one of its checkpoints as checkpoint=...")
    path = choose_checkpoint(Path(cfg.checkpoint.path))
    checkpoint = Checkpoint.open(path)
    agent_type: type[Agent] = agents.get(checkpoint.metadata.agent, error=CheckpointError)
    agent = agent_type.load(path, device=_choose_device(cfg.device), kernel=cfg.device.kernel)
    env_id, kwargs = _environment(cfg, path, agent.environment)
    env = make_environment(env_id, kwargs, render=cfg.render)
    try:
        returns = _play(agent, env, _reset_seeds(cfg.seed, cfg.episodes), alone=cfg.render is not None)
    finally:
        env.close()
    if path != Path(cfg.checkpoint.path):
        sys.stdout.write(f"checkpoint    {path}\n")
    _print(path, env_id, returns)
    return float(np.mean(returns))


def _choose_device(cfg: DictConfig) -> torch.device:
    """Set the number of threads, and find the device."""
    if cfg.threads is not None:
        if cfg.threads < 1:
            raise SettingError(f"device.threads: expected at least 1, got {cfg.threads}")
        torch.set_num_threads(cfg.threads)
    return set_device(cfg.name)


def _environment(cfg: DictConfig, path: Path, saved: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    """Choose the environment: that of the command line, else the one the agent was trained in, with its keywords.

    A module before the id of the latter says only where it comes from.

    Raises:
        CheckpointError: if neither names one, or the checkpoint names a module to import.
    """
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
    return given or saved["id"], {**saved.get("kwargs", {}), **kwargs}


def _names(given: str, saved: Mapping[str, Any] | None) -> bool:
    """Tell whether an id is the saved environment's with the module that registers it in front."""
    return saved is not None and ":" in given and given.rpartition(":")[2] == saved["id"].rpartition(":")[2]


def _reset_seeds(seed: int | None, episodes: int) -> list[int]:
    """List the reset seeds: training's evaluation episodes, or others that ``seed`` decides."""
    if seed is None:
        return evaluation_seeds(episodes)
    seeding.check_seed(seed)
    return [seeding.episode_seed(seed, OTHER_EPISODES, number) for number in range(1, episodes + 1)]


def _play(agent: Agent, env: Env, reset_seeds: Sequence[int], *, alone: bool) -> list[float]:
    """Run the episodes, side by side unless someone watches; return what each earned."""
    obs_dim, _ = dimensions(env)
    agent.adapt(env)
    side_by_side = EvaluationEnvironments(EnvironmentSource(env), env, obs_dim=obs_dim)
    try:
        n = len(reset_seeds)
        envs = Environments([env], obs_dim=obs_dim) if alone else side_by_side.get(n_seeds=1, episodes=n)
        returns = evaluate(agent, envs, reset_seeds)
    finally:
        side_by_side.close()
    return [float(value) for value in returns[0]]


def _print(checkpoint: Path, env_id: str, returns: Sequence[float]) -> None:
    mean, std = float(np.mean(returns)), float(np.std(returns))
    for number, value in enumerate(returns, start=1):
        sys.stdout.write(f"episode {number:>4}  {value:.1f}\n")
    sys.stdout.write(f"return  {mean:.1f} ± {std:.1f} over {len(returns)} episodes of {env_id}\n")
    record = {"checkpoint": str(checkpoint), "environment": env_id, "mean": mean, "std": std, "returns": list(returns)}
    sys.stdout.write(json.dumps(record) + "\n")
