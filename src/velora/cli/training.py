"""What ``velora train`` runs: from settings to a trained agent and the mean return it earns."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from velora.callbacks import Callback
from velora.checkpoint import Checkpoint
from velora.cli import budget, resume, run_directory
from velora.cli.arguments import written
from velora.cli.environment import make_environment
from velora.cli.objects import make_agent, make_callbacks, make_loggers
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, RunDirectoryError
from velora.core.protocols import AgentView
from velora.core.seeding import set_seed
from velora.training.result import TrainResult


class KeepSettings(Callback):
    """Hand the settings to ``config.yaml`` and the loggers, once everything fits and before anything is trained."""

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir

    def on_fit_start(self, trainer: Any, agent: AgentView) -> None:
        """Write the settings; ``resume`` belongs to one command, not to the run."""
        settings = self.cfg.copy()
        settings.resume = None
        run_directory.save_settings(self.run_dir, settings)
        for logger in trainer.loggers:
            logger.log_hyperparams(OmegaConf.to_container(settings, resolve=True))


class TellHowToGoOn(Callback):
    """Print how to resume, when a signal ends the run: of SIGTERM and SIGHUP nothing comes after."""

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir

    def on_fit_end(self, trainer: Any, agent: AgentView) -> None:
        """Print the command, once everything is saved."""
        if trainer.status == "interrupted" and _can_go_on(self.cfg):
            sys.stdout.write(f"interrupted; go on with: {resume.command(_shown(self.run_dir), self.cfg)}\n")
            sys.stdout.flush()


class FinalEvaluation(Callback):
    """Evaluate the agent that a run ends with, unless that has just been done."""

    def on_train_end(self, trainer: Any, agent: AgentView) -> None:
        """Evaluate; an interrupted run is in a hurry and goes without."""
        last = trainer.last_evaluation
        if trainer.status != "interrupted" and (last is None or last.step != trainer.step):
            trainer.evaluate()


def run_training(cfg: DictConfig, run_dir: Path) -> float:
    """Train as the settings say, evaluate the result, and print what can be done with it next.

    Args:
        cfg: settings of the shape of ``conf/train.yaml``.
        run_dir: where everything that is written goes.

    Returns:
        The mean return over the fixed evaluation episodes: what a sweep maximises.

    Raises:
        VeloraError: if the settings don't fit; a run that has not begun has left nothing behind then.
    """
    cfg = _with_seed(cfg)
    if cfg.resume is None:
        run_directory.check_free(run_dir)
    else:
        _check_resumed(cfg, run_dir)
    try:
        result = _train(cfg, run_dir)
    except Exception:
        run_directory.discard_unstarted(run_dir)
        raise
    _report(cfg, run_dir, result)
    return result.evaluations[-1].mean


def _with_seed(cfg: DictConfig) -> DictConfig:
    """Return the settings with a seed: the one that was set, 0 included, or one drawn now and written down."""
    seed = secrets.randbelow(2**32) if cfg.train.seed is None else cfg.train.seed
    cfg = cfg.copy()
    cfg.train.seed = seed
    return cfg


def _check_resumed(cfg: DictConfig, run_dir: Path) -> None:
    """Print what differs from the run's settings so far."""
    if Path(cfg.resume).resolve() != run_dir.resolve():
        raise RunDirectoryError(f"resume: give it on the command line, not in a file; expected {run_dir}")
    for line in resume.differences(run_directory.load_settings(run_dir), cfg):
        sys.stdout.write(f"resume: {line}\n")


def _train(cfg: DictConfig, run_dir: Path) -> TrainResult:
    device = set_device(cfg.device.name)
    seed = set_seed(cfg.train.seed)
    kwargs = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    env = make_environment(cfg.env.id, kwargs)  # type: ignore[arg-type]
    try:
        agent = make_agent(cfg.agent, env, device=device, kernel=cfg.device.kernel, seed=seed)
        callbacks = make_callbacks(cfg.callbacks, cfg.checkpoint, run_dir / run_directory.CHECKPOINTS)
        arguments = {name: value for name, value in cfg.train.items() if name not in ("seed", "batch_size")}
        return agent.train(
            env,
            cfg.train.batch_size,
            callbacks=[KeepSettings(cfg, run_dir), *callbacks, FinalEvaluation(), TellHowToGoOn(cfg, run_dir)],
            logger=make_loggers(cfg.logger, run_dir),
            run_dir=run_dir,
            resume=None if cfg.resume is None else _newest_checkpoint(run_dir),
            threads=cfg.device.threads,
            **arguments,
        )
    finally:
        env.close()


def _newest_checkpoint(run_dir: Path) -> Path:
    newest = Checkpoint.latest(run_dir / run_directory.CHECKPOINTS)
    if newest is None:
        raise CheckpointError(f"{run_dir}: expected a valid checkpoint to go on from, found none; start a new run")
    return newest.path


def _report(cfg: DictConfig, run_dir: Path, result: TrainResult) -> None:
    """Print how the run ended and what can be done next."""
    last = result.evaluations[-1]
    run = _shown(run_dir)
    reason = result.stop_reason if any(result.returns) else "there was nothing left to train"
    episodes = _counted(len(last.returns), "evaluation episode")
    lines = [
        f"run       {run}",
        f"ended     {result.status}" + (f": {reason}" if reason else ""),
        f"trained   {_counted(last.episode, 'episode')}, {_counted(last.step, 'step')}",
        f"return    {last.mean:.1f} ± {np.std(last.returns):.1f} over {episodes}",
    ]
    if cfg.checkpoint.final:
        where = [written("checkpoint", str(run / run_directory.CHECKPOINTS / "final"))]
        if ":" in cfg.env.id:  # a checkpoint imports no module unless it is named again
            where.append(written("env.id", cfg.env.id))
        lines.append(f"evaluate  velora evaluate {' '.join(where)}")
    if _can_go_on(cfg):
        longer = budget.doubled(cfg, episode=last.episode, step=last.step)
        lines.append(f"go on     {resume.command(run, cfg, longer)}")
    sys.stdout.write("\n".join(lines) + "\n")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _can_go_on(cfg: DictConfig) -> bool:
    """Tell whether the run saves what it takes to resume it."""
    return bool(cfg.checkpoint.buffer and (cfg.checkpoint.final or cfg.checkpoint.frequency is not None))


def _shown(path: Path) -> Path:
    """Shorten a path for printing, if it is below the current directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
