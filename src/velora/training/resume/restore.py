"""Exact resume: how a run goes on from its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, SpaceError
from velora.core.types import Episode
from velora.envs import Environments, statistics
from velora.envs.description import differences
from velora.training.hook_table import HookTable
from velora.training.lane import Lane, Place, place_states
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec, find
from velora.training.resume.run_state import RunState, Saved

log = logging.getLogger(__name__)


def restore_agent(agent: TrainableAgent, directory: Path) -> Saved:
    """Make the agent that of a run's checkpoints, each seed that of its own, and read the run's state.

    Settings that the agent was now given differently are reported and keep their new values.

    Raises:
        CheckpointError: if a checkpoint is missing or damaged, doesn't fit the agent or the others, or is of a run in
            another environment than the agent has been adapted to, or in more or fewer at once.
    """
    checkpoints, given = find.find(directory, agent.seeds), agent.environment
    lived: list[Mapping[str, Any] | None] = []
    states: list[RunState | None] = []
    changed: dict[str, None] = {}
    for k, checkpoint in enumerate(checkpoints):
        if checkpoint is None:
            if agent.progress[k].step:
                raise CheckpointError(
                    f"resume: seed {agent.seeds[k]} has no checkpoint, and this agent has been trained already, so the "
                    "seed can't begin anew; make a fresh agent for the resume"
                )
            states.append(None)
            lived.append(None)
            continue
        if len(checkpoints) > 1 and checkpoint.metadata.seed != agent.seeds[k]:
            raise CheckpointError(
                f"resume: {checkpoint.path} is of seed {checkpoint.metadata.seed}, expected one of seed "
                f"{agent.seeds[k]}; put it where it belongs"
            )
        _check_environment(agent, given, checkpoint)
        _check_n_envs(agent, checkpoint)
        changed |= dict.fromkeys(agent.restore(checkpoint, buffer=True, seed_index=k))
        states.append(_unpack(checkpoint))
        lived.append(checkpoint.metadata.environment)
    agent.environment = given  # it says more than an older checkpoint does
    for difference in changed:
        log.warning("resume: %s", difference)
    going_on = [k for k, state in enumerate(states) if state is not None]
    furthest = max(going_on, key=lambda k: (agent.progress[k].step, k))  # of equal ones the last was saved last
    saved = Saved(agent.seeds, tuple(states), furthest, tuple(lived))
    for k, state in saved.each():
        if state.run_id != saved.run_id:
            raise CheckpointError(
                f"resume: the checkpoints of the seeds {agent.seeds[k]} and {agent.seeds[furthest]} in {directory} are "
                "of different runs; put each where it belongs"
            )
    return saved


def _check_environment(agent: TrainableAgent, given: Mapping[str, Any] | None, checkpoint: Checkpoint) -> None:
    """Refuse to go on in another environment than the one that the agent has been adapted to."""
    lived, here = checkpoint.metadata.environment, {**(given or {}), **agent.bounds.describe()}
    if lived is not None and (found := differences(lived, here)):
        raise CheckpointError(
            f"resume: the run was trained in another environment than this {here.get('id')}: {'; '.join(found)}; "
            "resume with the environment that it was trained in, or load the agent and train it anew in this one"
        )


def _check_n_envs(agent: TrainableAgent, checkpoint: Checkpoint) -> None:
    """Refuse to go on in another number of environments, each of which has an unfinished episode to go on with."""
    lived = checkpoint.metadata.settings.get("n_envs", 1)
    if lived != (n_envs := agent.experience.n_envs):
        raise CheckpointError(
            f"resume: {checkpoint.path} is of a run with n_envs={lived}, got n_envs={n_envs}; each has "
            f"an unfinished episode to go on with, so resume with n_envs={lived}"
        )


def _unpack(checkpoint: Checkpoint) -> RunState:
    packed = checkpoint.metadata.train_state
    assert packed is not None
    try:
        return RunState(**codec.unpack(packed, checkpoint.read("train_state")))
    except TypeError as error:
        raise CheckpointError(f"{checkpoint.path}: train_state has the wrong members ({error})") from error


def restore_lanes(saved: Saved, lanes: Sequence[Lane], envs: Environments, hidden: Tensor) -> Tensor:
    """Put every seed back where it was, its environment too; return the recurrent states.

    Shapes:
        hidden, returns: (S, E, H).

    Raises:
        CheckpointError: if a saved state doesn't fit, or an environment ends before the logged actions do.
    """
    hidden = hidden.clone()
    for k, state in saved.each():
        lanes[k].evaluated_at = state.evaluated_at
        for place in lanes[k].places:
            statistics.go_on(envs.envs[place.index], saved.environments[k] or {})
        hidden[k : k + 1] = _restore_lane(state, lanes[k], envs, hidden[k : k + 1])
    return hidden


def _restore_lane(state: RunState, lane: Lane, envs: Environments, hidden: Tensor) -> Tensor:
    try:
        lane.load_state_dict(state.lane)
        if state.hidden.shape != hidden.shape:
            raise ValueError(f"hidden {tuple(state.hidden.shape)} instead of {tuple(hidden.shape)}")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"train_state: the state of the run doesn't fit this agent ({error})") from error
    for place, own in zip(lane.places, place_states(state.lane), strict=True):
        if place.running is not None:
            _replay(place, place.running, envs, dt=own.get("dt"))
    return state.hidden.to(hidden.device)


def _replay(place: Place, running: Episode, envs: Environments, *, dt: float | None) -> None:
    """Live the unfinished episode again, and check that it is the same one.

    Args:
        dt: how long its last step took; ``None`` if that wasn't saved.

    Raises:
        CheckpointError: if it isn't: the environment is another one, or isn't decided by its reset seed.
    """
    actions = np.stack(place.actions) if place.actions else np.empty((0, 1), np.float32)
    advice = "train in the environment of the run, which has to be deterministic given its reset seed"
    try:
        step, reward = envs.replay(place.index, seed=running.reset_seed, actions=actions)
    except SpaceError as error:
        raise CheckpointError(f"resume: the unfinished episode can't be restored ({error}); {advice}") from error
    if reward != running.reward:
        raise CheckpointError(
            f"resume: the unfinished episode earned {running.reward} when it was lived and {reward} when it was "
            f"lived again; {advice}"
        )
    if dt is not None and dt != step.dt:
        raise CheckpointError(
            f"resume: the last step of the unfinished episode took {dt} control steps when it was lived and {step.dt} "
            f"when it was lived again; {advice}"
        )
    # A run that crashed between an episode's last step and its end closes the episode first thing.
    place.newest, running.terminated, running.truncated = step, step.terminated, step.truncated


def restore_callbacks(saved: Saved, callbacks: Sequence[Any], hooks: HookTable) -> None:
    """Give every callback its saved state, after what was added in ``on_save_checkpoint``.

    What a callback keeps for a seed comes from that seed's checkpoint, everything else from the newest.
    """
    for _, state in saved.each():
        hooks.fire("on_load_checkpoint", dict(state.extra))
    known = {c.state_key: c for c in callbacks}
    missing: dict[str, None] = {}
    for key, kept in saved.newest.callbacks.items():
        if key in known:
            known[key].load_state_dict(kept)
        else:
            missing[key] = None
    for k, state in saved.each():
        for key, kept in state.seed_callbacks.items():
            if key in known:
                known[key].load_seed_state_dict(saved.seeds[k], kept)
            else:
                missing[key] = None
    for key in missing:
        log.warning("resume: the run had a callback %r that is missing now; its state is dropped", key)


def restore_generators(saved: Saved, agent: TrainableAgent) -> None:
    """Put every generator where it was; last, so that nothing draws from them in between.

    Raises:
        CheckpointError: if the saved generators aren't those of this agent.
    """
    for k, state in saved.each():
        generators = agent.generators(k)
        if generators.keys() != state.generators.keys():
            raise CheckpointError(
                f"train_state: expected the generators {sorted(generators)}, found {sorted(state.generators)}"
            )
        for name, generator in generators.items():
            codec.set_generator_state(generator, state.generators[name])
        try:
            agent.load_training_state(state.agent, k)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"train_state: the agent's part doesn't fit this agent ({error!r})") from error
    codec.set_global_generators(saved.newest.global_generators)
