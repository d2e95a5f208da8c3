"""Tell whether a saved state of a run fits the agent that goes on from it, before any of it is taken over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from velora.checkpoint.schema import Metadata
from velora.core.errors import CheckpointError
from velora.training.place import place_states
from velora.training.protocol import TrainableAgent
from velora.training.resume import form
from velora.training.resume.state_schema import RunState

_MOST: Final = 2**52
"""Largest counter that a run is resumed from: half of the largest that a checkpoint may hold."""


def check_fits(state: RunState, agent: TrainableAgent, metadata: Metadata, seed_index: int) -> None:
    """Compare the state of one seed with its agent and with the rest of its checkpoint.

    Raises:
        CheckpointError: naming the first member that contradicts them.
    """
    for complaint in _complaints(state, agent, metadata, seed_index):
        raise CheckpointError(complaint)


def _complaints(state: RunState, agent: TrainableAgent, metadata: Metadata, seed_index: int) -> Iterator[str]:
    places = place_states(state.lane)
    yield from _about_counters(state, metadata, sum(place["running"] is not None for place in places))
    n_envs = agent.experience.n_envs
    if len(places) != n_envs:
        yield f"lane: expected {n_envs} environments, found {len(places)}"
    for number, place in enumerate(places):
        name = "lane" if number == 0 else f"lane.others.{number - 1}"
        yield from _about_place(place, agent, name, finished=_finished(state))
    shape = tuple(agent.initial_hidden(n_envs)[:1].shape)
    if tuple(state.hidden.shape) != shape:
        yield f"hidden: expected shape {shape}, found {tuple(state.hidden.shape)}"
    generators = agent.generators(seed_index)
    if generators.keys() != state.generators.keys():
        yield f"generators: expected {sorted(generators)}, found {sorted(state.generators)}"
    if complaint := agent.find_state_fault(state.agent, seed_index):
        yield f"agent: {complaint}"
    if state.begun:
        yield from _about_begun(state, agent, places, seed_index)


def _about_begun(
    state: RunState, agent: TrainableAgent, places: Sequence[Mapping[str, Any]], seed_index: int
) -> Iterator[str]:
    """Look at the transition that a step began with whose environments haven't answered."""
    if any(place["running"] is None or any(place.get("ended") or ()) for place in places):
        yield "begun: expected none, since an episode isn't going on"
    if complaint := agent.experience.find_begun_fault(state.begun, state.agent, seed_index):
        yield complaint
    elif complaint := agent.experience.buffer.find_fault(
        state.begun["row"], n_choices=agent.bounds.describe().get("n_actions")
    ):
        yield f"begun.row: {complaint}"


def _finished(state: RunState) -> int:
    """Count the episodes that the run has finished."""
    finished: int = state.lane["lived"][0] - state.lane["origin"][0]
    return finished


def _about_counters(state: RunState, metadata: Metadata, n_open: int) -> Iterator[str]:
    lane, at = state.lane, metadata.progress
    if (most := max(at.episode, at.step, at.update, at.begun)) > _MOST:
        yield f"lane: expected numbers of episodes, steps and updates of at most {_MOST}, found {most}"
    if lane["lived"] != [at.episode, at.step, at.update]:
        progress = [at.episode, at.step, at.update]
        yield f"lane.lived: expected the checkpoint's progress {progress}, found {lane['lived']}"
    if any(before > now for before, now in zip(lane["origin"], lane["lived"], strict=True)):
        yield f"lane.origin: expected at most {lane['lived']}, found {lane['origin']}"
    if at.begun < at.episode + n_open:
        yield f"lane: expected at least {at.episode + n_open} episodes begun, found {at.begun}"
    if state.evaluated_at > _finished(state):
        yield f"evaluated_at: expected at most {_finished(state)} episodes, found {state.evaluated_at}"
    if lane.get("logged_at", 0) > (made := lane["lived"][2] - lane["origin"][2]):
        yield f"lane.logged_at: expected at most {made} updates, found {lane['logged_at']}"
    window = lane["moving"]
    if len(window["values"]) > min(window["size"], _finished(state)):
        yield f"lane.moving: expected the returns of at most {min(window['size'], _finished(state))} episodes"


def _about_place(place: Any, agent: TrainableAgent, name: str, *, finished: int) -> Iterator[str]:
    running, actions = place["running"], place["actions"]
    if running is None and actions is not None and place.get("reset_seed") is None:
        yield f"{name}.actions: expected none, since no episode is unfinished"
    digests = place.get("digests")
    if digests is not None and len(digests) != (0 if actions is None else len(actions)) + 1:
        yield f"{name}.digests: expected one more than there are actions, found {len(digests)}"
    if running is not None and running[0] > finished + 1:
        yield f"{name}.running: expected an episode up to number {finished + 1}, found {running[0]}"
    if actions is not None and not _are_actions(form.as_tensor(actions), agent.bounds.describe()):
        yield f"{name}.actions: expected actions of the environment, found others"


def _are_actions(actions: Tensor | None, units: Mapping[str, Any]) -> bool:
    """Return whether actions are those of an environment, as float32 has them.

    Shapes:
        actions: (N, A), or (N,) of whole numbers.

    Args:
        units: as a checkpoint keeps them; see :class:`velora.envs.ActionUnits`.
    """
    if actions is None:
        return False
    if "n_actions" in units:
        first, n_actions = units["first_action"], units["n_actions"]
        return actions.dim() == 1 and bool(((actions >= first) & (actions < first + n_actions)).all())
    low, high = (torch.tensor(units[name], dtype=torch.float32, device="cpu") for name in ("action_low", "action_high"))
    if actions.dim() != 2 or actions.shape[1:] != low.shape:
        return False
    near = actions.float()
    return bool(((near >= low) & (near <= high)).all())
