"""What a run of ``velora distill`` has that one of ``velora train`` hasn't: a teacher, and what it sees."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from velora.callbacks import Callback
from velora.cli.run import run_directory
from velora.cli.run.report import counted
from velora.cli.settings.objects import Wrappers, make_environment
from velora.core import zoo
from velora.core.errors import SettingError, VeloraError
from velora.core.protocols import AgentView
from velora.core.terminal import say
from velora.distill import Teacher, distill, open_teacher
from velora.distill.playing import play
from velora.envs.make import Env
from velora.envs.wrappers import wrap
from velora.models import Agent
from velora.training.evaluation import evaluation_seeds
from velora.training.result import TrainResult

KEPT = ("teacher.onnx", "teacher")
"""Names of a teacher in the directory of its run: a file, or a checkpoint."""


class KeepTeacher(Callback):
    """A callback that copies the teacher into the run's directory, so that a resume needs no other place."""

    def __init__(self, teacher: Teacher, run_dir: Path) -> None:
        self.teacher, self.run_dir = teacher, run_dir
        self._kept: Path | None = None

    def on_fit_start(self, trainer: Any, agent: AgentView) -> None:
        """Copy it."""
        self._kept = self.teacher.keep(self.run_dir)

    def on_exception(self, trainer: Any, agent: AgentView, exception: BaseException) -> None:
        """Remove the copy if the first step was refused: no run has begun."""
        if self._kept is not None and trainer.step == 0 and isinstance(exception, VeloraError):
            if self._kept.is_dir():
                shutil.rmtree(self._kept)
            else:
                self._kept.unlink(missing_ok=True)


def learning(cfg: DictConfig, agent: Agent, run_dir: Path, *, wrappers: Wrappers) -> Callable[..., TrainResult]:
    """Make what trains an agent as a student; it takes the arguments of ``agent.train`` but the environment.

    Args:
        cfg: settings of the shape of ``conf/distill.yaml``.
        agent: the student.
        run_dir: of the run.
        wrappers: around the student's environments, from the inside out.

    Raises:
        TeacherError: if there is no teacher, or it doesn't fit the environment.
    """
    if cfg.env.workers:
        raise SettingError("env.workers: the teacher can't see environments in workers; leave it out")
    teacher = _open(cfg, run_dir)
    kwargs: Any = OmegaConf.to_container(cfg.env.kwargs, resolve=True)
    make = partial(make_environment, cfg.env.id, kwargs)
    _introduce(cfg, teacher, make())

    def learn(batch_size: int, *, callbacks: Sequence[Callback], workers: int, **rest: Any) -> TrainResult:
        first, *others = callbacks
        return distill(
            agent,
            teacher,
            make,
            batch_size,
            student=partial(_around, wrappers),
            beta_steps=cfg.distill.beta_steps,
            updates_per_step=cfg.distill.updates_per_step,
            callbacks=[first, KeepTeacher(teacher, run_dir), *others],
            **rest,
        )

    return learn


def _open(cfg: DictConfig, run_dir: Path) -> Teacher:
    """Open the teacher: of a run that is gone on with, its copy there."""
    s = cfg.distill
    kept = next((run_dir / name for name in KEPT if (run_dir / name).exists()), None)
    here = s.teacher if s.teacher.startswith(zoo.PREFIX) else run_directory.started_in() / s.teacher
    place = here if cfg.resume is None or kept is None else kept
    return open_teacher(place, output=s.output, actions=s.actions, means=s.means, name=s.teacher)


def _introduce(cfg: DictConfig, teacher: Teacher, env: Env) -> None:
    """Say what the teacher earns in the episodes that the student is evaluated in, but for the student's wrappers."""
    try:
        teacher.check(env)
        seeds = evaluation_seeds(cfg.train.evaluation_episodes)
        returns = play(teacher, env, seeds, max_steps=cfg.train.evaluation_max_steps).returns
    finally:
        env.close()
    over = counted([len(returns)], "episode")
    say(f"teacher   {cfg.distill.teacher}: return {np.mean(returns):.1f} ± {np.std(returns):.1f} over {over}\n")


def _around(wrappers: Wrappers, env: Env) -> Env:
    return wrap(env, wrappers)
