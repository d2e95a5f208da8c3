"""The job of ``velora train``: make the objects that the settings describe, train the agent, evaluate it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from velora.callbacks import Callback
from velora.checkpoint.layout import CHECKPOINTS
from velora.cli.run import claim, report, resume, run_directory
from velora.cli.run import seeds as seed_settings
from velora.cli.settings.objects import (
    chosen_wrappers,
    make_agent,
    make_callbacks,
    make_environment,
    make_loggers,
    merged,
)
from velora.core.devices import set_device
from velora.core.errors import RunDirectoryError, VeloraError
from velora.core.protocols import AgentView
from velora.core.seeding import set_seed
from velora.models import idle
from velora.nn.cells import LIQUID_KINDS
from velora.training.result import TrainResult

log = logging.getLogger(__name__)


class KeepSettings(Callback):
    """A callback that writes the settings to ``config.yaml``, run store and loggers, before the first step."""

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir
        self._are_ours = False

    def on_fit_start(self, trainer: Any, agent: AgentView) -> None:
        """Write the settings, without ``resume``, which belongs to one command and not to the run."""
        settings = self.cfg.copy()
        settings.resume = None
        run_directory.save_settings(self.run_dir, settings)
        self._are_ours = True
        trainer.metrics.describe(run_directory.distinguishing(settings))
        for logger in trainer.loggers:
            logger.log_hyperparams(OmegaConf.to_container(settings, resolve=True))

    def on_exception(self, trainer: Any, agent: AgentView, exception: BaseException) -> None:
        """Remove ``config.yaml`` if the first step was refused: no run has begun."""
        is_new = self.cfg.resume is None and self._are_ours
        if is_new and trainer.step == 0 and isinstance(exception, VeloraError):
            (self.run_dir / run_directory.CONFIG).unlink(missing_ok=True)


class TellHowToGoOn(Callback):
    """A callback that prints how to resume if a signal ends the run; after SIGTERM or SIGHUP no report is printed."""

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir

    def on_fit_end(self, trainer: Any, agent: AgentView) -> None:
        """Print the command, once everything is saved."""
        if trainer.status == "interrupted" and report.can_go_on(self.cfg):
            sys.stdout.write(f"interrupted; go on with: {resume.command(report.shown(self.run_dir), self.cfg)}\n")
            sys.stdout.flush()


class FinalEvaluation(Callback):
    """A callback that evaluates the agent at the end of a run, but no seed that just was, or met NaN."""

    def on_train_end(self, trainer: Any, agent: AgentView) -> None:
        """Evaluate, unless the run was interrupted: it has to end at once."""
        missing = [
            p.seed_index
            for p in trainer.progress
            if not p.is_lost and (p.evaluation is None or p.evaluation.step != p.step)
        ]
        if missing and trainer.status != "interrupted":
            trainer.evaluate(missing)


def run_training(cfg: DictConfig, run_dir: Path) -> float:
    """Train as the settings say, evaluate the result, and print a report with the next commands.

    Args:
        cfg: settings of the shape of ``conf/train.yaml``.
        run_dir: the directory of everything that is written.

    Returns:
        The mean return over the fixed evaluation episodes and over seeds; a sweep maximises it.

    Raises:
        VeloraError: if the settings don't fit; a run that has not begun has left nothing behind then.
    """
    with claim.claimed(run_dir):
        saved = None if cfg.resume is None else _settings_so_far(cfg, run_dir)
        seeds = seed_settings.choose(cfg)
        cfg = seed_settings.written_down(cfg, seeds)
        if saved is None:
            run_directory.check_free(run_dir)
        else:
            for line in resume.differences(saved, cfg):
                sys.stdout.write(f"resume: {line}\n")
        try:
            result = _train(cfg, run_dir, seeds)
        except Exception:
            claim.discard_unstarted(run_dir)
            raise
        report.report(cfg, run_dir, result, seeds)
    return float(np.mean([evaluation.mean for evaluation in report.final_evaluations(result)]))


def _settings_so_far(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """Read the settings of the run to resume, and check that it keeps its seeds."""
    if resume.run_of(Path(cfg.resume)).resolve() != run_dir.resolve():
        raise RunDirectoryError(f"resume: give it on the command line, not in a file; expected {run_dir}")
    saved = run_directory.load_settings(run_dir)
    seed_settings.check_kept(cfg, saved)
    return saved


def _train(cfg: DictConfig, run_dir: Path, seeds: Sequence[int]) -> TrainResult:
    device = set_device(cfg.device.name)
    set_seed(seeds[0])
    kwargs = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    chosen = chosen_wrappers(cfg.env)
    env = make_environment(cfg.env.id, kwargs, wrappers=merged([], chosen))  # type: ignore[arg-type]
    try:
        with nullcontext() if cfg.resume is None else idle.taken_over():
            agent = make_agent(cfg.agent, env, device=device, kernel=cfg.device.kernel, seeds=seeds)
        if chosen.get("HoldAction") and agent.settings.time == "gate" and agent.settings.cell not in LIQUID_KINDS:
            log.warning(
                "agent.cell: %s has no gate for the time, so the agent isn't told how long its steps take; "
                "agent.time=input tells it",
                agent.settings.cell,
            )
        callbacks = make_callbacks(cfg.callbacks, cfg.checkpoint, run_dir / CHECKPOINTS)
        own = ("seed", "seeds", "batch_size")
        arguments = {name: value for name, value in cfg.train.items() if name not in own}
        return agent.train(
            env,
            cfg.train.batch_size,
            callbacks=[KeepSettings(cfg, run_dir), *callbacks, FinalEvaluation(), TellHowToGoOn(cfg, run_dir)],
            logger=make_loggers(cfg.logger, run_dir),
            run_dir=run_dir,
            resume=None if cfg.resume is None else resume.beginning(Path(cfg.resume)),
            threads=cfg.device.threads,
            workers=cfg.env.workers,
            worker_timeout_s=cfg.env.worker_timeout_s,
            **arguments,
        )
    finally:
        env.close()
