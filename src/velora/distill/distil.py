"""Distil a teacher into an agent: one call, around the agent's own training."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

from velora.core.errors import SettingError
from velora.distill.acting import Guided
from velora.distill.experience import Labelled
from velora.distill.playing import play
from velora.distill.teacher import Teacher
from velora.envs import EnvironmentSource, dimensions
from velora.envs.make import Env, EnvLike
from velora.envs.spaces import environment_name
from velora.envs.watched import Watched
from velora.models.agent import Agent
from velora.models.experience import Replay
from velora.ops.choice import Choice
from velora.training.result import TrainResult

log = logging.getLogger(__name__)


def distill(
    agent: Agent,
    teacher: Teacher,
    env: EnvLike,
    batch_size: int,
    *,
    student: Callable[[Env], Env] | None = None,
    beta_steps: int = 10_000,
    updates_per_step: float = 1.0,
    **training: Any,
) -> TrainResult:
    """Let an agent act, and learn what a teacher would have done in its place (DAgger).

    During the agent's ``warmup_steps`` the teacher acts alone, then its share of the steps falls to 0 within
    ``beta_steps``. Learning begins after the warm-up. The agent stays what it is: afterwards it is trained by
    reinforcement, saved and exported as any other.

    Args:
        agent: the student; one that replays, such as :class:`velora.models.LiquidTD3`.
        teacher: see :func:`velora.distill.open_teacher`.
        env: as the teacher sees it: an environment that can be made again, its id, or a function that makes one.
        batch_size: windows in one update (B).
        student: puts around an environment what changes the student's view alone: wrappers that hide, disturb or delay.
        beta_steps: steps after the warm-up until the student acts alone.
        updates_per_step: 1, several, or a fraction, such as 0.1 for an update in every tenth step.
        training: as of ``agent.train``.

    Raises:
        SettingError, SpaceError: if agent, environment and settings don't fit.
        TeacherError: if the teacher doesn't fit the environment.
        NonFiniteError: if it answers NaN or infinity.
        CheckpointError: if ``resume`` can't be gone on from.
    """
    _check(agent, beta_steps=beta_steps, updates_per_step=updates_per_step)
    if training.get("workers"):
        raise SettingError("distill: the teacher can't see environments in workers; leave workers (env.workers) out")
    source = EnvironmentSource(env)
    _check_teacher(teacher, source)

    def make() -> Env:
        seen: Env = Watched(source.make())
        return seen if student is None else student(seen)

    with _taught(agent, teacher, beta_steps=beta_steps, updates_per_step=updates_per_step):
        return agent.train(make, batch_size, **training)


def _check(agent: Agent, *, beta_steps: int, updates_per_step: float) -> None:
    name = type(agent).__name__
    if not isinstance(agent.experience, Replay):
        raise SettingError(f"distill: expected a student that replays, got a {name}; take one such as LiquidTD3")
    if not isinstance(getattr(agent.exploration, "choice", None), Choice):
        raise SettingError(f"distill: {name} chooses its actions in a way of its own, without a choice")
    if agent.sees_images:
        raise SettingError("distill: expected a student that sees numbers, got one that sees images")
    if isinstance(beta_steps, bool) or not isinstance(beta_steps, int) or beta_steps < 0:
        raise SettingError(f"distill.beta_steps: expected a whole number of at least 0, got {beta_steps!r}")
    is_number = isinstance(updates_per_step, int | float) and not isinstance(updates_per_step, bool)
    if not is_number or not (0.0 < updates_per_step <= 1_000.0 and math.isfinite(updates_per_step)):
        raise SettingError(f"distill.updates_per_step: expected a number above 0, got {updates_per_step!r}")


@contextmanager
def _taught(agent: Agent, teacher: Teacher, *, beta_steps: int, updates_per_step: float) -> Iterator[None]:
    """Lend an agent the experience and the exploration of a student."""
    own = agent.experience, agent.exploration
    labelled = Labelled(agent, teacher, updates_per_step=updates_per_step)
    agent.experience = labelled
    agent.exploration = Guided(
        agent.exploration,
        labelled.supervisor,
        labelled.ask,
        agent.seeds,
        warmup_steps=agent.settings.warmup_steps,
        beta_steps=beta_steps,
    )
    try:
        yield
    finally:
        agent.experience, agent.exploration = own


def _check_teacher(teacher: Teacher, source: EnvironmentSource) -> None:
    """Let the teacher fit an environment and play the beginning of an episode, before anything is written."""
    env = source.make()
    try:
        dimensions(env)  # whose actions no agent chooses is told of first
        teacher.check(env)
        largest = play(teacher, env, [0], max_steps=_TRIED).largest
        acted = env.action_space
        reaches = isinstance(acted, gym.spaces.Box) and bool((np.minimum(-acted.low, acted.high) > 1.5).all())
        if teacher.actions == "units" and reaches and 0.9 <= largest <= 1.0:
            log.warning(
                "teacher: %s: its actions came close to 1 and didn't pass it, and those of %s reach further; if they "
                "are to be scaled to the environment's, say distill.actions=normalised",
                teacher.name,
                environment_name(env),
            )
    finally:
        env.close()


_TRIED = 200
"""Steps that a teacher plays before it teaches."""
