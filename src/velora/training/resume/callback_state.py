"""What callbacks keep in a checkpoint: checked before a run begins, and never a reason for a save to fail."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from velora.callbacks.base import Callback
from velora.core.errors import CheckpointError
from velora.training.resume import codec

log = logging.getLogger(__name__)


def check(callbacks: Sequence[Any], seeds: Sequence[int]) -> None:
    """Refuse callbacks whose state can't be saved, before the first step of a run.

    Raises:
        CheckpointError: naming the place in the state.
    """
    for seed in seeds:
        for part, states in _states(callbacks, seed).items():
            for key, state in states.items():
                codec.check(state, f"{part}.{key}")


def savable(
    callbacks: Sequence[Any], seed: int, extra: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what callbacks keep for no seed and for one, and have added to a checkpoint, as far as it can be saved.

    Returns:
        The parts by name, and why the rest can't be saved, by the callback's key.
    """
    dropped: dict[str, str] = {}
    parts = {**_states(callbacks, seed), "extra": dict(extra)}
    return {part: _savable(part, states, dropped) for part, states in parts.items()}, dropped


def _states(callbacks: Sequence[Any], seed: int) -> dict[str, dict[str, Any]]:
    """Ask callbacks for what they keep, for no seed and for one; only ours keep things for a seed."""
    ours = [c for c in callbacks if isinstance(c, Callback)]
    return {
        "callbacks": {c.state_key: state for c in callbacks if (state := c.state_dict())},
        "seed_callbacks": {c.state_key: state for c in ours if (state := c.seed_state_dict(seed))},
    }


def _savable(part: str, states: Mapping[str, Any], dropped: dict[str, str]) -> dict[str, Any]:
    """Return the states that can be saved, and add why the others can't."""
    kept = {}
    for key, state in states.items():
        try:
            codec.check(state, f"{part}.{key}")
        except CheckpointError as error:
            dropped[key] = str(error)
            log.error("save: left out of the checkpoint, since it can't come back as it is: %s", error)
        else:
            kept[key] = state
    return kept
