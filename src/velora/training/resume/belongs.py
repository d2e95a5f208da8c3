"""Tell whether a checkpoint of a run belongs to an agent and its environment, before its state is read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, SpaceError
from velora.envs.description import CHANGEABLE, differences
from velora.training.protocol import TrainableAgent

log = logging.getLogger(__name__)


def check_belongs(agent: TrainableAgent, given: Mapping[str, Any] | None, checkpoint: Checkpoint) -> None:
    """Refuse another agent's checkpoint, or one of a run in another environment; say what of that may differ.

    Args:
        given: the environment that the agent has been adapted to, as a checkpoint describes it.

    Raises:
        CheckpointError: if it isn't this agent's, or of a run in another environment, or in more or fewer at once.
    """
    if checkpoint.metadata.agent != agent.key:
        raise CheckpointError(
            f"{checkpoint.path}: holds a {checkpoint.metadata.agent!r}, this agent is a {agent.key!r}"
        )
    _check_environment({**(given or {}), **agent.bounds.describe()}, checkpoint)
    lived = checkpoint.metadata.settings.get("n_envs", 1)
    if lived != (n_envs := agent.experience.n_envs):
        raise CheckpointError(
            f"resume: {checkpoint.path} is of a run with n_envs={lived!a:.80}, got n_envs={n_envs}; each has "
            f"an unfinished episode to go on with, so resume with n_envs={lived!a:.80}"
        )


def _check_environment(here: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    lived = checkpoint.metadata.environment
    if lived is None:
        return
    try:
        found = differences(lived, here)
    except (AttributeError, KeyError, TypeError, ValueError, SpaceError) as error:
        raise CheckpointError(f"{checkpoint.path}: environment: can't be read ({error!a:.200})") from error
    if found.keys() - set(CHANGEABLE):
        raise CheckpointError(
            f"resume: the run was trained in another environment than this {here.get('id')}: "
            f"{'; '.join(found.values())} ({checkpoint.path}); resume with the environment that it was trained in, or "
            "load the agent and train it anew in this one"
        )
    for difference in found.values():
        log.warning("resume: the environment's %s; the run goes on, but not to the same bits", difference)
