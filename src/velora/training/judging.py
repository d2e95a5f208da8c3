"""Rounds of evaluation of a run: when they are due, on which episodes, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from velora.core.types import Evaluation
from velora.training.evaluation import evaluate_sound, reset_seeds, tell_limit
from velora.training.evaluation_environments import EvaluationEnvironments
from velora.training.hook_table import HookTable
from velora.training.lane import Lane
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent


class InterruptedEvaluationError(Exception):
    """End an evaluation that a signal came into."""


class Judging:
    """Evaluate the seeds of a run, always on the same episodes.

    Args:
        every: episodes between two rounds; ``None`` for none that come by themselves.
        episodes: episodes of a round.
        max_steps: steps after which one is cut.

    Attributes:
        reset_seeds: of the episodes.
        made: every evaluation of this process, in order.
    """

    def __init__(self, *, every: int | None, episodes: int, max_steps: int) -> None:
        self.every, self.max_steps = every, max_steps
        self.reset_seeds = reset_seeds(None, episodes)
        self.made: list[Evaluation] = []

    def choose(self, *, episodes: int | None, seed: int | None) -> None:
        """Evaluate on other episodes from now on; ``None`` leaves their number, or which they are."""
        self.reset_seeds = reset_seeds(seed, len(self.reset_seeds) if episodes is None else episodes)

    def due(self, lanes: Sequence[Lane]) -> list[int]:
        """List the seeds, by position, that have come to a round since their last evaluation."""
        every = self.every
        sound = [lane for lane in lanes if not lane.is_lost]
        return [lane.seed_index for lane in sound if every and lane.episode // every > lane.evaluated_at // every]

    def evaluate(
        self,
        agent: TrainableAgent,
        environments: EvaluationEnvironments,
        lanes: Sequence[Lane],
        *,
        loop: Loop,
        hooks: HookTable,
        on_step: Callable[[], None],
    ) -> list[Evaluation]:
        """Evaluate these seeds, and note it in their lanes; none if ``on_step`` interrupts."""
        own, resting = [lane.seed_index for lane in lanes], {lane.seed_index: lane.resting for lane in lanes}
        with hooks.noting("evaluation"), environments.opened(len(self.reset_seeds), resting) as envs:
            hooks.fire("on_evaluation_start")
            hooks.fire("on_validation_start")
            if not self.made:
                tell_limit(envs.envs[0], self.max_steps, setting="evaluation_max_steps")
            try:
                returns = evaluate_sound(
                    agent, envs, self.reset_seeds, own, max_steps=self.max_steps, on_step=on_step, lose=loop.lost.add
                )
            except InterruptedEvaluationError:
                return []
        loop.lost.check_any_is_left()
        for lane in lanes:
            if lane.seed_index in returns:
                lane.evaluated_at = lane.episode
                earned = tuple(map(float, returns[lane.seed_index]))
                lane.evaluation = Evaluation(lane.seed_index, lane.step, lane.episode, earned)
        found = [lane.evaluation for lane in lanes if lane.seed_index in returns and lane.evaluation is not None]
        self.made += found
        return found
