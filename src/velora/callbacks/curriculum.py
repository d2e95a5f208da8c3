"""An environment that becomes harder along training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.cadence import check_whole
from velora.core.errors import SettingError
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode


class Curriculum(Callback):
    """Set numbers among the attributes of the training environment, stage after stage, each seed by itself.

    A stage ends when the mean of a full window of returns has come to ``target``, or after ``steps`` in it. The next
    one begins with the next episode. Evaluations and videos are of the environment as it was made: the task itself. A
    run that is resumed goes on to the same bits, since what an episode was lived with is saved.

    Example:
        >>> Curriculum([{"g": 5.0}, {"g": 10.0}], target=-300).state_key
        'Curriculum'
    """

    def __init__(
        self,
        stages: Sequence[Mapping[str, float]],
        *,
        target: float | Sequence[float] | None = None,
        steps: int | None = None,
    ) -> None:
        """Choose the stages, and when one ends.

        Args:
            stages: one after the other, at least one: attributes of the environment, or of a wrapper around it, with
                their values. In a stage that doesn't name one, it is as the environment was made.
            target: mean of the window that ends a stage, for all, or one for each but the last; ``None`` goes by steps.
            steps: environment steps of a seed that end a stage, at least 1; ``None`` goes by the target alone.

        Raises:
            SettingError: if there are no stages, a value isn't a number, or nothing says when a stage ends.
        """
        if not isinstance(stages, Sequence) or not stages or any(not isinstance(stage, Mapping) for stage in stages):
            raise SettingError(f"curriculum.stages: expected one or more of {{attribute: value}}, got {stages!r}")
        if target is None and steps is None and len(stages) > 1:
            raise SettingError("curriculum: expected target= or steps= (or both), got neither")
        check_whole("curriculum.steps", steps, or_none=True)
        self.stages, self.steps = [dict(stage) for stage in stages], steps
        wanted = [] if target is None else list(target) if isinstance(target, Sequence) else [target] * len(stages)
        if target is not None and len(wanted) < len(stages) - 1:
            raise SettingError(
                f"curriculum.target: expected {len(stages) - 1} for {len(stages)} stages, got {target!r}"
            )
        if any(isinstance(one, bool) or not isinstance(one, int | float) or not math.isfinite(one) for one in wanted):
            raise SettingError(f"curriculum.target: expected finite numbers, got {target!r}")
        self._targets: list[float] = wanted
        self._at: dict[int, list[int]] = {}

    def stage(self, seed: int) -> int:
        """Return the stage of a seed, counted from 0."""
        return self._at[seed][0] if seed in self._at else 0

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return a seed's stage, and the step and the episode that it began at."""
        return {"at": list(self._at[seed])} if seed in self._at else {}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take that back; anything else is a ``SettingError``."""
        match dict(state):
            case {"at": [int() as stage, int() as step, int() as episode]} if 0 <= stage < len(self.stages):
                self._at[seed] = [stage, step, episode]
            case _:
                raise SettingError(f"curriculum: expected a stage below {len(self.stages)}, found another state")

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Check that the environment has what the stages set.

        Raises:
            SettingError: if it hasn't.
        """
        self._at = {}
        trainer.check_environment_attributes([name for stage in self.stages for name in stage])

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Begin the stage that every seed is in."""
        for k, seed in enumerate(agent.seeds):
            self._at.setdefault(seed, [0, 0, 0])
            trainer.change_environment(self.stages[self._at[seed][0]], seed_index=k)

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Go on to the next stage if this one is over."""
        k, seed = episode.seed_index, agent.seeds[episode.seed_index]
        lane = trainer.progress[k]
        stage, began_step, began_episode = self._at[seed]
        if stage + 1 >= len(self.stages):
            return
        window = lane.window
        is_known = lane.episode - began_episode >= window.size  # no return of the stage before is in it
        is_good = bool(self._targets) and is_known and window.mean >= self._targets[stage]
        if is_good or (self.steps is not None and lane.step - began_step >= self.steps):
            self._at[seed] = [stage + 1, lane.step, lane.episode]
            trainer.change_environment(self.stages[stage + 1], seed_index=k)
            trainer.log({"curriculum/stage": float(stage + 1)}, seed_index=k)
