"""Where one seed of a run stands, and each of its environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from velora.checkpoint.lineage import TRUNK, Lineage
from velora.core import seeding
from velora.core.errors import CheckpointError
from velora.core.types import Action, Counters, Episode, Evaluation, WindowStats
from velora.envs.parameters import Parameters
from velora.envs.vector import NO_STEP, Step
from velora.metrics.window import MovingWindow
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


class Lane:
    """Follow one seed through a run: its counters, its environments and its last returns.

    ``lived`` counts the agent's whole life and is shared with the agent; ``episode``, ``step`` and ``update`` count
    this run, the steps and episodes of all its environments together.

    Seeds share nothing, so nothing here depends on where another seed stands: after a resume they may differ.

    Attributes:
        places: where each of its environments stands (E).
        is_running: an episode has begun since the last one ended.
        done: nothing is left to do: the budget is used up, or a callback stopped this seed.
        stop_reason: why a callback stopped this seed, or where it diverged, the others going on; else ``None``.
        is_lost: a number that isn't finite stopped it; it isn't saved any more.
        evaluation: the newest evaluation of this process.
        evaluated_at: finished episodes at the newest evaluation of the run.
        logged_at: updates at the newest row that went to the loggers.
        lineage: branches of the run that led here.
        parted_at: step of its life up to which the metrics' rows are of its branch; ``None`` if all are.
        parameters: numbers that are set in its environments from the next episode on.
        newest_of: directory whose newest checkpoint it goes on from; ``None`` if it began anew, or one was named.
    """

    def __init__(self, seed_index: int, seed: int, lived: Counters, *, n_envs: int = 1, window_size: int) -> None:
        self.places = [Place(index) for index in range(seed_index * n_envs, (seed_index + 1) * n_envs)]
        self.is_running = False
        self.seed_index = seed_index
        self.seed = seed
        self.lived = lived
        self.origin = Counters(lived.episode, lived.step, lived.update)
        self.moving = MovingWindow(window_size)
        self.returns: list[float] = []
        self.done = False
        self.stop_reason: str | None = None
        self.is_lost = False
        self.evaluation: Evaluation | None = None
        self.evaluated_at = 0
        self.logged_at = 0
        self.lineage: Lineage = TRUNK
        self.parted_at: int | None = None
        self.newest_of: Path | None = None
        self.parameters: Parameters = {}

    @property
    def episode(self) -> int:
        """Episodes finished in this run."""
        return self.lived.episode - self.origin.episode

    @property
    def step(self) -> int:
        """Environment steps taken in this run."""
        return self.lived.step - self.origin.step

    @property
    def update(self) -> int:
        """Gradient updates made in this run."""
        return self.lived.update - self.origin.update

    @property
    def has_rows_until(self) -> int:
        """Environment step of this run after which there are no rows of its own yet."""
        return self.step if self.parted_at is None else min(self.step, self.parted_at - self.origin.step)

    @property
    def last_return(self) -> float | None:
        """The return of the newest finished episode."""
        return self.moving.values[-1] if len(self.moving) else None

    @property
    def window(self) -> WindowStats:
        """Statistics of the last returns."""
        return replace(self.moving.stats(), seed_index=self.seed_index)

    @property
    def next_reset_seed(self) -> int:
        """The reset seed that belongs to the next episode alone: all that were ever begun come before it."""
        return seeding.episode_seed(self.seed, 0, self.lived.begun + 1)

    @property
    def resting(self) -> int | None:
        """Return which of its environments is between two episodes, by position; ``None`` if none is."""
        return next((place.index for place in self.places if place.running is None), None)

    def begin(self, place: Place, reset_seed: int, first: Step) -> Episode:
        """Open the next episode. Episodes are numbered as they end; this has the number it gets if it ends first.

        Args:
            place: where.
            reset_seed: the :attr:`next_reset_seed`.
            first: the answer to the reset.
        """
        episode = Episode(self.seed_index, self.episode + 1, reset_seed)
        place.begin(episode, first)
        self.lived.begun += 1
        self.is_running = True
        return episode

    def count(self, place: Place, action: Action, step: Step) -> None:
        """Add one environment step; see :meth:`Place.count`."""
        place.count(action, step)
        self.lived.step += 1

    @property
    def has_ended(self) -> bool:
        """Return whether an episode is over and waits to be closed."""
        return any(place.has_ended for place in self.places)

    def end(self) -> Episode:
        """Close an episode that is over, the first of them, and count it."""
        episode = next(place for place in self.places if place.has_ended).end()
        self.is_running = False
        self.lived.episode += 1
        episode.number = self.episode
        self.moving.add(episode.reward)
        self.returns.append(episode.reward)
        return episode

    def state_dict(self) -> dict[str, Any]:
        """Return everything as JSON, with the action logs as arrays; places beyond the first are ``"others"``."""
        first, *others = [place.state_dict() for place in self.places]
        return {
            "origin": [self.origin.episode, self.origin.step, self.origin.update],
            "lived": [self.lived.episode, self.lived.step, self.lived.update],
            "moving": self.moving.state_dict(),
            **first,
            "stop_reason": self.stop_reason,
            **({"others": others} if others else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a saved lane; see :meth:`Place.load_state_dict`.

        How many episodes were begun is the agent's to restore, from the progress of its checkpoint.

        Raises:
            CheckpointError: if the parts contradict each other.
        """
        self.origin = Counters(*state["origin"])
        self.lived.episode, self.lived.step, self.lived.update = state["lived"]
        self.logged_at = self.update
        self.moving.load_state_dict(state["moving"])
        self.stop_reason = state.get("stop_reason")
        for place, own in zip(self.places, place_states(state), strict=True):
            place.load_state_dict(own, self.seed_index)
        self.is_running = all(place.running is not None for place in self.places)


def place_states(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Take what was saved of each place out of the state of a lane."""
    return [state, *state.get("others", ())]
