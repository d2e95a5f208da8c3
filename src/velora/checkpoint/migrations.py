"""How metadata of older schema versions becomes that of the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pydantic import JsonValue

from velora.core.errors import CheckpointError

Migration: TypeAlias = Callable[[dict[str, JsonValue]], dict[str, JsonValue]]


def count_begun_episodes(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Turn version 1 into 2: ``progress.begun`` counts the episodes that were begun.

    In the checkpoint of a run they are those that were finished and those that were open. The checkpoint of an agent
    alone doesn't say whether its last episode was open: there one more is counted if the agent has lived a step, so
    that no reset seed comes twice. What isn't of the shape of version 1 is left for the schema to refuse.

    Raises:
        CheckpointError: if the document has the counter already.
    """
    progress: Any = document.get("progress", {})
    if not isinstance(progress, dict) or not isinstance(progress.get("episode", 0), int):
        return document
    if "begun" in progress:
        raise CheckpointError("progress.begun: version 1 has no such member; load another checkpoint")
    state: Any = document.get("train_state")
    lane = state.get("lane") if isinstance(state, dict) else None
    n_open = _count_open(lane) if isinstance(lane, dict) else int(progress.get("step", 0) != 0)
    return {**document, "progress": {**progress, "begun": progress.get("episode", 0) + n_open}}


def _count_open(lane: dict[str, Any]) -> int:
    """Count the environments of a seed that were in the middle of an episode."""
    others = lane.get("others")
    places = [lane, *(others if isinstance(others, list) else [])]
    return sum(isinstance(place, dict) and place.get("running") is not None for place in places)


MIGRATIONS: Final[dict[int, Migration]] = {1: count_begun_episodes}
"""For each old schema version, the function that turns its document into the next version's."""
