"""Exact resume: how a run goes on from its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError
from velora.envs import Environments, statistics
from velora.envs.description import CHANGEABLE, differences
from velora.training.hook_table import HookTable
from velora.training.lane import Lane
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec, find
from velora.training.resume.replay import live_again
from velora.training.resume.run_state import RunState, Saved

log = logging.getLogger(__name__)


def restore_agent(agent: TrainableAgent, directory: Path) -> Saved:
    """Make the agent that of a run's checkpoints, each seed that of its own, and read the run's state.

    Settings that the agent was now given differently are reported and keep their new values.

    Raises:
        CheckpointError: if a checkpoint is missing or damaged, doesn't fit the agent or the others, or is of a run in
            another environment than the agent has been adapted to, or in more or fewer at once.
    """
    checkpoints = find.find(directory, agent.seeds, are_chosen=agent.chose_seeds)
    given, lived = agent.environment, list[Mapping[str, Any] | None]()
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
    homes = [None if found is None or find.names_one(directory) else found.path.parent for found in checkpoints]
    saved = Saved(agent.seeds, tuple(states), furthest, tuple(lived), tuple(homes))
    for k, state in saved.each():
        if state.run_id != saved.run_id:
            raise CheckpointError(
                f"resume: the checkpoints of the seeds {agent.seeds[k]} and {agent.seeds[furthest]} in {directory} are "
                "of different runs; put each where it belongs"
            )
    return saved


def _check_environment(agent: TrainableAgent, given: Mapping[str, Any] | None, checkpoint: Checkpoint) -> None:
    """Refuse to go on in another environment than the one that the agent has been adapted to; say what may differ."""
    lived, here = checkpoint.metadata.environment, {**(given or {}), **agent.bounds.describe()}
    if lived is None:
        return
    found = differences(lived, here)
    if found.keys() - set(CHANGEABLE):
        raise CheckpointError(
            f"resume: the run was trained in another environment than this {here.get('id')}: "
            f"{'; '.join(found.values())}; resume with the environment that it was trained in, or load the agent and "
            "train it anew in this one"
        )
    for difference in found.values():
        log.warning("resume: the environment's %s; the run goes on, but not to the same bits", difference)


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
        state = RunState(**codec.unpack(packed, checkpoint.read("train_state")))
        circumstances = {"velora": checkpoint.metadata.velora_version, **state.circumstances}
        return replace(state, lineage=checkpoint.metadata.lineage, circumstances=circumstances)
    except TypeError as error:
        raise CheckpointError(f"{checkpoint.path}: train_state has the wrong members ({error})") from error


def restore_loop(saved: Saved, loop: Loop) -> None:
    """Put a loop back where it was: its seeds with their environments, and what their updates had reported.

    Raises:
        CheckpointError: if a saved state doesn't fit, or an environment ends before the logged actions do.
    """
    loop.hidden.copy_(restore_lanes(saved, loop.lanes, loop.envs, loop.hidden))
    loop.carry_on(saved.metrics(loop.agent.device))


def restore_lanes(saved: Saved, lanes: Sequence[Lane], envs: Environments, hidden: Tensor) -> Tensor:
    """Put every seed back where it was, its environment too; return the recurrent states.

    Shapes:
        hidden, returns: (S, E, H).

    Raises:
        CheckpointError: if a saved state doesn't fit.
    """
    hidden = hidden.clone()
    for k, state in saved.each():
        lanes[k].evaluated_at, lanes[k].lineage = state.evaluated_at, state.lineage
        lanes[k].newest_of = saved.newest_of[k]
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
    live_again(lane, envs)
    return state.hidden.to(hidden.device)


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
