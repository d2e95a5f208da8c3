"""Where one environment of a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from velora.core.errors import CheckpointError
from velora.core.types import Action, Episode
from velora.envs.parameters import Parameters
from velora.envs.vector import NO_STEP, Step
from velora.training.action_log import MOST_KEPT, ActionLog


class Place:
    """Follow one environment of a seed through its episodes.

    Attributes:
        index: position among the environments of all seeds.
        running: the open episode.
        newest: the answer to its newest action, or its reset; nothing's before the first.
        log: of the newest episode, open or not.
        parameters: numbers that were set in the environment for that episode.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.running: Episode | None = None
        self.newest = NO_STEP
        self.log = ActionLog()
        self.parameters: Parameters = {}

    def begin(self, episode: Episode, first: Step) -> None:
        """Open an episode, whose reset was answered by ``first``."""
        self.running, self.newest = episode, first
        self.log.begin(episode.reset_seed, first)

    def count(self, action: Action, step: Step) -> None:
        """Add one environment step to the running episode.

        Shapes:
            action: (A,) or a whole number, in the environment's units; kept, so it must not be changed afterwards.
        """
        episode = self.running
        assert episode is not None
        self.newest = step
        self.log.add(action, step)
        episode.reward += step.reward
        episode.length += 1
        episode.terminated, episode.truncated = step.terminated, step.truncated

    @property
    def has_ended(self) -> bool:
        """Return whether the running episode is over and waits to be closed."""
        episode = self.running
        return episode is not None and (episode.terminated or episode.truncated)

    def end(self) -> Episode:
        """Close the running episode."""
        assert self.running is not None
        episode, self.running = self.running, None
        return episode

    def drop(self) -> None:
        """Leave the running episode, which can't go on, unless it is over and waits to be closed."""
        if not self.has_ended:
            self.running = None

    def state_dict(self) -> dict[str, Any]:
        """Return everything as JSON, with the log's arrays.

        Of an episode that has been closed a beginning is kept, to see whether it is the same when it is lived again.
        """
        running = self.running
        return {
            "running": None if running is None else [running.number, running.reset_seed, running.reward],
            "ended": None if running is None else [running.terminated, running.truncated],
            **self.log.state_dict(MOST_KEPT if running is None else None),
            **({"parameters": dict(self.parameters)} if self.parameters else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int) -> None:
        """Take over a saved place; the environment is restored by the caller, from ``running`` and ``actions``.

        Raises:
            CheckpointError: if the parts contradict each other.
        """
        self.log.load_state_dict(state)
        self.parameters = dict(state.get("parameters", {}))
        self.running = None
        if state["running"] is not None:
            number, reset_seed, reward = state["running"]
            self.log.reset_seed = reset_seed  # which an older version didn't log
            self.running = Episode(seed_index, number, reset_seed, reward, length=len(self.log.actions))
            self.running.terminated, self.running.truncated = state.get("ended") or (False, False)
        elif self.log.actions and self.log.reset_seed is None:
            raise CheckpointError("train_state: actions of an episode, but no reset seed")


def place_states(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Take what was saved of each place out of the state of a lane."""
    return [state, *state.get("others", ())]
