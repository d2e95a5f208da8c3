"""Exact resume: what a run's checkpoint holds besides the agent, and how a run goes on from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from velora.checkpoint import Checkpoint, MissingCheckpointError
from velora.core.errors import CheckpointError, SettingError, SpaceError
from velora.core.types import Array, Episode
from velora.envs import Environments
from velora.envs.vector import Step
from velora.training import snapshot
from velora.training.hooks import HookTable
from velora.training.lane import Lane
from velora.training.protocol import TrainableAgent

log = logging.getLogger(__name__)

PackedState = tuple[dict[str, Any], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class RunState:
    """Hold a run's saved state as it is taken apart again."""

    run_id: str
    evaluated_at: int
    lane: Mapping[str, Any]
    hidden: Tensor
    agent: Mapping[str, Any]
    generators: Mapping[str, str]
    global_generators: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    extra: Mapping[str, Any]


def pack_run(
    *,
    run_id: str,
    evaluated_at: int,
    agent: TrainableAgent,
    lane: Lane,
    hidden: Tensor,
    callbacks: Sequence[Any],
    extra: Mapping[str, Any],
) -> PackedState:
    """Gather everything that the next step of this seed depends on, besides weights, optimizers and buffer."""
    k = lane.seed_index
    tensors: dict[str, Tensor] = {}
    tree = {
        "run_id": run_id,
        "evaluated_at": evaluated_at,
        "lane": lane.state_dict(),
        "hidden": hidden[k : k + 1],
        "agent": agent.training_state(k),
        "generators": {name: snapshot.generator_state(g) for name, g in agent.generators(k).items()},
        "global_generators": snapshot.global_generators(),
        "callbacks": {c.state_key: state for c in callbacks if (state := c.state_dict())},
        "extra": dict(extra),
    }
    return snapshot.pack(tree, tensors), tensors


def find(directory: Path) -> Checkpoint:
    """Open the checkpoint at a path, or the newest one in the directory.

    Raises:
        FileNotFoundError: if there is nothing.
        CheckpointError: if what is there is damaged, or was saved outside a training run or without its buffer.
    """
    if (directory / "metadata.json").exists():
        checkpoint = Checkpoint.open(directory)
    else:
        newest = Checkpoint.latest(directory)
        if newest is None:
            raise MissingCheckpointError(
                f"resume: {directory} holds no checkpoint; name a directory written by SaveCheckpoints"
            )
        checkpoint = newest
    if checkpoint.metadata.train_state is None:
        raise CheckpointError(
            f"resume: {checkpoint.path} holds an agent but no run (it wasn't written by SaveCheckpoints); "
            "load it with the agent's load() and call train() instead"
        )
    if checkpoint.metadata.buffer is None:
        raise CheckpointError(
            f"resume: {checkpoint.path} was saved without its replay buffer, so the run can't go on exactly; "
            "load it with the agent's load() and call train(), or save with SaveCheckpoints(..., buffer=True)"
        )
    return checkpoint


def restore_agent(agent: TrainableAgent, checkpoint: Checkpoint) -> RunState:
    """Make the agent that of the checkpoint, and read the run's state.

    Settings that the agent was now given differently are reported and keep their new values.

    Raises:
        SettingError: if the agent trains several seeds.
        CheckpointError: if the checkpoint is damaged or doesn't fit the agent.
    """
    if agent.n_seeds > 1:
        raise SettingError(f"resume: a run of one seed can be resumed, this agent trains {agent.n_seeds}")
    for difference in agent.restore(checkpoint, buffer=True):
        log.warning("resume: %s", difference)
    packed = checkpoint.metadata.train_state
    assert packed is not None
    try:
        return RunState(**snapshot.unpack(packed, checkpoint.read("train_state")))
    except TypeError as error:
        raise CheckpointError(f"{checkpoint.path}: train_state has the wrong members ({error})") from error


def restore_lane(state: RunState, lane: Lane, envs: Environments, hidden: Tensor) -> Tensor:
    """Put a seed back where it was, its environment too; return the recurrent state.

    Raises:
        CheckpointError: if the saved state doesn't fit, or the environment ends before the logged actions do.
    """
    try:
        lane.load_state_dict(state.lane)
        if state.hidden.shape != hidden.shape:
            raise ValueError(f"hidden {tuple(state.hidden.shape)} instead of {tuple(hidden.shape)}")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"train_state: the state of the run doesn't fit this agent ({error})") from error
    if lane.running is not None:
        actions = np.stack(lane.actions) if lane.actions else np.empty((0, 1), np.float32)
        lane.newest = _replay(lane.running, actions, envs)
        # A run that crashed between an episode's last step and its end closes the episode first thing.
        lane.running.terminated, lane.running.truncated = lane.newest.terminated, lane.newest.truncated
    return state.hidden.to(hidden.device)


def _replay(running: Episode, actions: Array, envs: Environments) -> Step:
    """Live the unfinished episode again, and check that it is the same one.

    Raises:
        CheckpointError: if it isn't: the environment is another one, or isn't decided by its reset seed.
    """
    advice = "train in the environment of the run, which has to be deterministic given its reset seed"
    try:
        step, reward = envs.replay(running.seed_index, seed=running.reset_seed, actions=actions)
    except SpaceError as error:
        raise CheckpointError(f"resume: the unfinished episode can't be restored ({error}); {advice}") from error
    if reward != running.reward:
        raise CheckpointError(
            f"resume: the unfinished episode earned {running.reward} when it was lived and {reward} when it was "
            f"lived again; {advice}"
        )
    return step


def restore_callbacks(state: RunState, callbacks: Sequence[Any], hooks: HookTable) -> None:
    """Give every callback its saved state, then what was added in ``on_save_checkpoint``."""
    hooks.fire("on_load_checkpoint", dict(state.extra))
    known = {c.state_key: c for c in callbacks}
    for key, saved in state.callbacks.items():
        if key in known:
            known[key].load_state_dict(saved)
        else:
            log.warning("resume: the run had a callback %r that is missing now; its state is dropped", key)


def restore_generators(state: RunState, agent: TrainableAgent) -> None:
    """Put every generator where it was; last, so that nothing draws from them in between.

    Raises:
        CheckpointError: if the saved generators aren't those of this agent.
    """
    generators = agent.generators(0)
    if generators.keys() != state.generators.keys():
        raise CheckpointError(
            f"train_state: expected the generators {sorted(generators)}, found {sorted(state.generators)}"
        )
    for name, generator in generators.items():
        snapshot.set_generator_state(generator, state.generators[name])
    try:
        agent.load_training_state(state.agent)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"train_state: the agent's part doesn't fit this agent ({error!r})") from error
    snapshot.set_global_generators(state.global_generators)
