"""Where one seed of a run stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from velora.checkpoint.lineage import TRUNK, Lineage
from velora.core import seeding
from velora.core.types import Action, Counters, Episode, Evaluation, WindowStats
from velora.envs.parameters import Parameters
from velora.envs.vector import Step
from velora.metrics.window import MovingWindow
from velora.training.place import Place, place_states


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
        n_begun: steps after :attr:`step` whose update was made, and has its rows: those of a step that failed.
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
        self.n_begun = 0
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
        until = self.step + self.n_begun
        return until if self.parted_at is None else min(until, self.parted_at - self.origin.step)

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
        self.logged_at = state.get("logged_at", self.update)
        self.moving.load_state_dict(state["moving"])
        self.stop_reason = state.get("stop_reason")
        for place, own in zip(self.places, place_states(state), strict=True):
            place.load_state_dict(own, self.seed_index)
        self.is_running = all(place.running is not None for place in self.places)
