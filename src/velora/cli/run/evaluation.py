"""The job of ``velora evaluate``: play an agent from a checkpoint, without exploration noise and without learning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from velora.checkpoint.choice import choose_checkpoints
from velora.cli.run.report import counted
from velora.cli.run.saved_agent import given_checkpoint, load_agent, open_environment
from velora.core.errors import SettingError
from velora.core.terminal import say
from velora.envs import Environments, EnvironmentSource, dimensions
from velora.envs.make import Env
from velora.models import Agent
from velora.training.evaluation import evaluate, reset_seeds, tell_limit
from velora.training.evaluation_environments import EvaluationEnvironments


@dataclass(frozen=True, slots=True)
class _Played:
    """The returns of one agent's episodes."""

    seed: int
    checkpoint: Path
    environment: str
    returns: Sequence[float]

    @property
    def mean(self) -> float:
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        return float(np.std(self.returns))

    def record(self) -> dict[str, Any]:
        """Return the result as JSON."""
        numbers = {"mean": self.mean, "std": self.std, "returns": list(self.returns)}
        return {"checkpoint": str(self.checkpoint), "environment": self.environment, **numbers}


def run_evaluation(cfg: DictConfig, run_dir: Path) -> float:
    """Print the return of every episode, their mean and standard deviation, and the same as a last line of JSON.

    Every seed of a run of several is evaluated; a line is printed for each, and the mean over seeds.

    Args:
        cfg: settings of the shape of ``conf/evaluate.yaml``.
        run_dir: not used; evaluating writes nothing.

    Returns:
        The mean return, over seeds where there are several.

    Raises:
        VeloraError: if the checkpoint can't be loaded, or its environment not be made.
    """
    if cfg.episodes < 1:
        raise SettingError(f"episodes: expected at least 1, got {cfg.episodes}")
    if cfg.max_steps < 1:
        raise SettingError(f"max_steps: expected at least 1, got {cfg.max_steps}")
    given, here = given_checkpoint(cfg)
    chosen = choose_checkpoints(given)
    if len(chosen) == 1:
        one = _evaluate(cfg, chosen[0], here)
        _print_one(given, one)
        return one.mean
    played = []
    for path in chosen:
        played.append(_evaluate(cfg, path, here))
        _print_seed(played[-1])
    return _print_seeds(given, played)


def _evaluate(cfg: DictConfig, path: Path, here: Path) -> _Played:
    agent, seed = load_agent(cfg, here / path)
    env, env_id = open_environment(cfg, path, agent, render=cfg.render)
    try:
        tell_limit(env, cfg.max_steps, setting="max_steps")
        seeds = reset_seeds(cfg.seed, cfg.episodes)
        returns = play(agent, env, seeds, max_steps=cfg.max_steps, alone=cfg.render is not None)
    finally:
        env.close()
    return _Played(seed, path, env_id, returns)


def play(agent: Agent, env: Env, reset_seeds: Sequence[int], *, max_steps: int, alone: bool) -> list[float]:
    """Run the episodes, side by side or (``alone``) one by one; return the return of each."""
    obs_dim, _ = dimensions(env)
    agent.adapt(env)
    shows = agent.sees_time
    if alone:
        envs = Environments([env], obs_dim=obs_dim, shows_time=shows)
        returns = evaluate(agent, envs, reset_seeds, max_steps=max_steps)
    else:
        source = EnvironmentSource(env)
        side_by_side = EvaluationEnvironments(source, [env], n_seeds=1, obs_dim=obs_dim, shows_time=shows)
        with closing(side_by_side), side_by_side.opened(len(reset_seeds)) as envs:
            returns = evaluate(agent, envs, reset_seeds, max_steps=max_steps)
    return [float(value) for value in returns[0]]


def _print_one(given: Path, one: _Played) -> None:
    if one.checkpoint != given:
        say(f"checkpoint    {one.checkpoint}\n")
    for number, value in enumerate(one.returns, start=1):
        say(f"episode {number:>4}  {value:.1f}\n")
    over = f"over {counted([len(one.returns)], 'episode')}"
    say(f"return  {one.mean:.1f} ± {one.std:.1f} {over} of {one.environment}\n")
    say(json.dumps(one.record()) + "\n")


def _print_seed(one: _Played) -> None:
    """Print the result of one of several seeds as soon as it is known."""
    over = f"over {counted([len(one.returns)], 'episode')}"
    say(f"seed {one.seed:<5} {one.mean:>9.1f} ± {one.std:.1f} {over}, {one.checkpoint}\n")


def _print_seeds(given: Path, played: Sequence[_Played]) -> float:
    """Print mean and standard deviation over seeds, and return the mean."""
    means = [one.mean for one in played]
    mean, std = float(np.mean(means)), float(np.std(means))
    environment = played[0].environment
    say(f"return     {mean:>9.1f} ± {std:.1f} over {len(played)} seeds, in {environment}\n")
    seeds = [{"seed": one.seed, **one.record()} for one in played]
    record = {"run": str(given), "environment": environment, "mean": mean, "std": std, "seeds": seeds}
    say(json.dumps(record) + "\n")
    return mean
