"""The job of ``velora train``: make the objects that the settings describe, train the agent, evaluate it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from velora.analysis import outcome
from velora.callbacks import Callback
from velora.checkpoint.layout import CHECKPOINTS
from velora.cli.run import claim, distillation, ending, report, resume, run_directory
from velora.cli.run import seeds as seed_settings
from velora.cli.settings.loggers import make_loggers
from velora.cli.settings.objects import (
    chosen_wrappers,
    make_agent,
    make_callbacks,
    make_environment,
    merged,
)
from velora.core import allowance
from velora.core.devices import set_device
from velora.core.errors import CheckpointError, RunDirectoryError, VeloraError
from velora.core.protocols import AgentView
from velora.core.seeding import set_seed
from velora.core.terminal import say
from velora.models import idle
from velora.nn.cells.registry import takes_time
from velora.training.result import TrainResult
from velora.training.resume.find import measure

log = logging.getLogger(__name__)


class KeepSettings(Callback):
    """A callback that writes the settings to ``config.yaml``, run store and loggers, before the first step."""

    def __init__(self, cfg: DictConfig, run_dir: Path) -> None:
        self.cfg, self.run_dir = cfg, run_dir
        self.has_begun = False

    def on_fit_start(self, trainer: Any, agent: AgentView) -> None:
        """Write the settings, without ``resume``, which belongs to one command and not to the run."""
        settings = self.cfg.copy()
        settings.resume = settings.retry = None
        outcome.forget(self.run_dir)
        run_directory.save_settings(self.run_dir, settings)
        self.has_begun = True
        trainer.metrics.describe(run_directory.distinguishing(settings))
        plain: Any = OmegaConf.to_container(settings, resolve=True)
        trainer.log_settings({name: part for name, part in plain.items() if name not in ("logger", "resume", "retry")})

    def on_exception(self, trainer: Any, agent: AgentView, exception: BaseException) -> None:
        """Remove ``config.yaml`` if the first step was refused: no run has begun."""
        is_new = self.cfg.resume is None and self.has_begun
        if is_new and trainer.step == 0 and isinstance(exception, VeloraError):
            (self.run_dir / run_directory.CONFIG).unlink(missing_ok=True)


class TellHowToGoOn(Callback):
    """A callback that prints how to resume if a signal ends the run; after SIGTERM or SIGHUP no report is printed."""

    def __init__(self, cfg: DictConfig, run: Path) -> None:
        self.cfg, self.run = cfg, run
        self.is_interrupted = False

    def on_fit_end(self, trainer: Any, agent: AgentView) -> None:
        """Print the command, once everything is saved."""
        self.is_interrupted = trainer.status == "interrupted"
        if self.is_interrupted and report.can_go_on(self.cfg):
            say(f"interrupted; go on with: {resume.command(self.run, self.cfg)}\n")


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


def run_training(cfg: DictConfig, run_dir: Path, *, callbacks: Sequence[Callback] = ()) -> float:
    """Train as the settings say, evaluate the result, and print a report with the next commands.

    Args:
        cfg: settings of the shape of ``conf/train.yaml``.
        run_dir: the directory of everything that is written.
        callbacks: further ones, which are no settings of the run: of whoever has asked for it.

    Returns:
        The mean return over the fixed evaluation episodes and over seeds; a sweep maximises it.

    Raises:
        VeloraError: if the settings don't fit; a run that has not begun has left nothing behind then.
        KeyboardInterrupt: if a signal ended the run, and nothing else ended the process.
    """
    with claim.claimed(run_dir):
        return train_claimed(cfg, run_dir, callbacks=callbacks)


def train_claimed(cfg: DictConfig, run_dir: Path, *, callbacks: Sequence[Callback] = ()) -> float:
    """Do the same in a directory that is claimed already (:func:`velora.cli.run.claim.claimed`)."""
    saved = None if cfg.resume is None else _settings_so_far(cfg, run_dir)
    run = run_directory.shown(run_dir)  # now: an environment may change the working directory
    seeds = seed_settings.choose(cfg)
    cfg = seed_settings.written_down(cfg, seeds)
    if saved is None:
        run_directory.check_free(run_dir)
    else:
        for line in resume.differences(saved, cfg):
            say(f"resume: {line}\n")
    keep, tell = KeepSettings(cfg, run_dir), TellHowToGoOn(cfg, run)
    try:
        result = _train(cfg, run_dir, seeds, keep, [*callbacks, tell])
        if tell.is_interrupted:  # the program has a handler of its own for the signal, which did nothing
            raise KeyboardInterrupt
        objective = ending.keep_result(cfg, run_dir, result, seeds)
        report.report(cfg, run, result, seeds)
    except BaseException as error:
        claim.discard_unstarted(run_dir)
        is_stopped = isinstance(error, KeyboardInterrupt) or (tell.is_interrupted and isinstance(error, Exception))
        if (
            isinstance(error, Exception)
            and not is_stopped
            and keep.has_begun
            and (run_dir / run_directory.CONFIG).exists()
        ):
            ending.keep_failure(run_dir, error)
        if is_stopped and (run_dir / run_directory.CONFIG).exists():
            raise KeyboardInterrupt("interrupted") from error  # without a word it was before the first step
        raise
    return objective


def _settings_so_far(cfg: DictConfig, run_dir: Path) -> DictConfig:
    """Read the settings of the run to resume, and check that it keeps its seeds."""
    if resume.run_of(run_directory.started_in() / cfg.resume).resolve() != run_dir.resolve():
        raise RunDirectoryError(f"resume: give it on the command line, not in a file; expected {run_dir}")
    saved = run_directory.load_settings(run_dir)
    seed_settings.check_kept(cfg, saved)
    return saved


def _train(
    cfg: DictConfig, run_dir: Path, seeds: Sequence[int], first: Callback, last: Sequence[Callback]
) -> TrainResult:
    device = set_device(cfg.device.name)
    set_seed(seeds[0])
    saved = None if cfg.resume is None else resume.beginning(run_directory.started_in() / cfg.resume)
    kwargs = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    chosen = chosen_wrappers(cfg.env)
    wrappers = merged([], chosen)
    env = make_environment(cfg.env.id, kwargs, wrappers=wrappers)  # type: ignore[arg-type]
    try:
        with _as_saved(cfg, saved, seeds):
            agent = make_agent(cfg.agent, env, device=device, kernel=cfg.device.kernel, seeds=seeds)
        if chosen.get("HoldAction") and agent.settings.time == "gate" and not takes_time(agent.settings.cell):
            log.warning(
                "agent.cell: %s has no gate for the time, so the agent isn't told how long its steps take; "
                "agent.time=input tells it",
                agent.settings.cell,
            )
        callbacks = make_callbacks(cfg.callbacks, cfg.checkpoint, run_dir / CHECKPOINTS)
        train: Callable[..., TrainResult] = partial(agent.train, env)
        if "distill" in cfg:
            train = distillation.learning(cfg, agent, run_dir, wrappers=wrappers)
        own = ("seed", "seeds", "batch_size")
        arguments = {name: value for name, value in cfg.train.items() if name not in own}
        return train(
            cfg.train.batch_size,
            callbacks=[first, *callbacks, FinalEvaluation(), *last],
            logger=make_loggers(cfg.logger, run_dir, group=run_directory.sweep()),
            run_dir=run_dir,
            resume=saved,
            threads=cfg.device.threads,
            workers=cfg.env.workers,
            worker_timeout_s=cfg.env.worker_timeout_s,
            **arguments,
        )
    finally:
        env.close()


@contextmanager
def _as_saved(cfg: DictConfig, saved: Path | None, seeds: Sequence[int]) -> Iterator[None]:
    """Make the agent of a run that is gone on with: of settings taken before, no larger than its checkpoints are.

    Raises:
        CheckpointError: if the settings ask for other environments than the checkpoints have.
    """
    if saved is None:
        yield
        return
    n_numbers, n_envs = measure(saved, seeds)
    if (given := cfg.agent.get("n_envs", n_envs)) != n_envs:
        raise CheckpointError(f"agent.n_envs: {given} in the settings, {n_envs} in {saved}; resume with {n_envs}")
    with idle.taken_over(), allowance.bounded(n_numbers):
        yield
