"""Exact resume: how a run goes on from its checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from velora.core.errors import CheckpointError, VeloraError
from velora.envs import Environments, statistics
from velora.training.hook_table import HookTable
from velora.training.lane import Lane
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent
from velora.training.resume import codec, find
from velora.training.resume.belongs import check_belongs
from velora.training.resume.read_state import read_state
from velora.training.resume.replay import live_again
from velora.training.resume.run_state import RunState, Saved

log = logging.getLogger(__name__)


def restore_agent(agent: TrainableAgent, directory: Path) -> Saved:
    """Make the agent that of a run's checkpoints, each seed that of its own, and read the run's state.

    All checkpoints are read and compared with the agent first; then it takes them over.

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
        check_belongs(agent, given, checkpoint)
        state = read_state(checkpoint, agent, k)
        if fault := agent.experience.find_resume_fault(state.agent):
            raise CheckpointError(f"resume: {checkpoint.path}: {fault}")
        states.append(state)
        lived.append(checkpoint.metadata.environment)
    for k, checkpoint in enumerate(checkpoints):
        if checkpoint is not None:
            changed |= dict.fromkeys(agent.restore(checkpoint, buffer=True, seed_index=k))
    agent.environment = given  # it says more than an older checkpoint does
    for difference in changed:
        log.warning("resume: %s", difference)
    going_on = [k for k, state in enumerate(states) if state is not None]
    furthest = max(going_on, key=lambda k: (agent.progress[k].step, k))  # of equal ones the last was saved last
    homes = [None if found is None or find.names_one(directory) else found.path.parent for found in checkpoints]
    paths = tuple(None if checkpoint is None else checkpoint.path for checkpoint in checkpoints)
    saved = Saved(agent.seeds, tuple(states), furthest, tuple(lived), tuple(homes), paths)
    for k, state in saved.each():
        if state.run_id != saved.run_id:
            raise CheckpointError(
                f"resume: the checkpoints of the seeds {agent.seeds[k]} and {agent.seeds[furthest]} in {directory} are "
                "of different runs; put each where it belongs"
            )
    return saved


def restore_loop(saved: Saved, loop: Loop) -> None:
    """Put a loop back where it was: its seeds with their environments, and what their updates had reported.

    Raises:
        CheckpointError: if a saved state doesn't fit.
    """
    loop.hidden.copy_(restore_lanes(saved, loop.lanes, loop.envs, loop.hidden))
    loop.begun = {k: state.begun for k, state in saved.each() if state.begun and loop.lanes[k].is_running}
    for k in loop.begun:
        loop.lanes[k].n_begun = len(loop.lanes[k].places)
    with _naming(saved, saved.furthest, "metrics", "this run"):
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
        with _naming(saved, k, "lane", "this run"):
            for at, place in enumerate(lanes[k].places):
                statistics.go_on(envs.envs[place.index], saved.environments[k] or {}, at)
            hidden[k : k + 1] = _restore_lane(state, lanes[k], envs, hidden[k : k + 1])
    return hidden


def _restore_lane(state: RunState, lane: Lane, envs: Environments, hidden: Tensor) -> Tensor:
    try:
        lane.load_state_dict(state.lane)
        if state.hidden.shape != hidden.shape:
            raise ValueError(f"hidden {tuple(state.hidden.shape)} instead of {tuple(hidden.shape)}")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"train_state: the state of the run doesn't fit this agent ({error})") from error
    for place in lane.places:
        envs.parameters.put(place.index, place.parameters)
    live_again(lane, envs)
    return state.hidden.to(hidden.device)


def restore_callbacks(saved: Saved, callbacks: Sequence[Any], hooks: HookTable) -> None:
    """Give every callback its saved state, after what was added in ``on_save_checkpoint``.

    What a callback keeps for a seed comes from that seed's checkpoint, everything else from the newest.

    Raises:
        CheckpointError: if a callback can't take its state over.
    """
    for k, state in saved.each():
        with _naming(saved, k, "extra", "a callback's on_load_checkpoint"):
            hooks.fire("on_load_checkpoint", dict(state.extra))
    known = {c.state_key: c for c in callbacks}
    missing: dict[str, None] = {}
    for key, kept in saved.newest.callbacks.items():
        if key in known:
            with _naming(saved, saved.furthest, f"callbacks.{key}", "its load_state_dict"):
                known[key].load_state_dict(kept)
        else:
            missing[key] = None
    for k, state in saved.each():
        for key, kept in state.seed_callbacks.items():
            if key in known:
                with _naming(saved, k, f"seed_callbacks.{key}", "its load_seed_state_dict"):
                    known[key].load_seed_state_dict(saved.seeds[k], kept)
            else:
                missing[key] = None
    for key, reason in {key: reason for _, state in saved.each() for key, reason in state.dropped.items()}.items():
        log.warning("resume: the state of %r begins anew, since it couldn't be saved: %s", key, reason)
    for key in missing:
        log.warning("resume: the run had a callback %r that is missing now; its state is dropped", key)


def restore_training(saved: Saved, agent: TrainableAgent) -> None:
    """Give the agent what else its training keeps, such as the exploration noise.

    Raises:
        CheckpointError: if it can't take that over.
    """
    for k, state in saved.each():
        with _naming(saved, k, "agent", "load_training_state"):
            agent.load_training_state(state.agent, k)


def restore_generators(saved: Saved, agent: TrainableAgent) -> None:
    """Put every generator where it was; last, so that nothing draws from them in between.

    Raises:
        CheckpointError: if this machine has other generators.
    """
    for k, state in saved.each():
        for name, generator in agent.generators(k).items():
            codec.set_generator_state(generator, state.generators[name])
    with _naming(saved, saved.furthest, "global_generators", "this machine"):
        codec.set_global_generators(saved.newest.global_generators)


@contextmanager
def _naming(saved: Saved, seed_index: int, member: str, whose: str) -> Iterator[None]:
    """Name the checkpoint, and the member of its state, that can't be taken over.

    Raises:
        CheckpointError: in place of whatever is raised.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{saved.paths[seed_index]}: {error}") from error
    except Exception as error:
        reason = str(error).partition("\n")[0]
        kind = "" if isinstance(error, VeloraError) else f"{type(error).__name__}: "
        raise CheckpointError(
            f"{saved.paths[seed_index]}: train_state: {member}: {whose} refuses it ({kind}{reason}); resume from "
            "another checkpoint"
        ) from error
