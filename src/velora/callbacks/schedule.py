"""Settings of the agent that change along training."""

from __future__ import annotations

import math

from velora.callbacks.base import Callback
from velora.callbacks.cadence import check_whole
from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.protocols import AgentView, TrainerView

SHAPES = ("linear", "cosine", "exponential", "constant")


class Schedule(Callback):
    """Change a number among the agent's settings by the steps of each seed: a learning rate, the noise, any other.

    The value stays at ``start`` through ``delay`` steps, goes to ``end`` within the next ``steps``, and stays there.
    Before all that it may rise from nothing to ``start`` within ``warmup`` steps. It depends on the step alone, so that
    a run that is resumed goes on to the same bits, and seeds that stand at different steps have each their own.

    Example:
        >>> decay = Schedule("actor_lr", start=1e-3, end=1e-5, steps=100, shape="exponential", every=1)
        >>> f"{decay.value(0):.0e} {decay.value(50):.0e} {decay.value(500):.0e}"
        '1e-03 1e-04 1e-05'
    """

    def __init__(
        self,
        setting: str,
        *,
        start: float,
        end: float | None = None,
        steps: int = 1,
        shape: str = "linear",
        warmup: int = 0,
        delay: int = 0,
        every: int = 100,
    ) -> None:
        """Choose a setting and its course.

        Args:
            setting: its name, such as ``"actor_lr"`` or ``"noise_std"``.
            start: the value at first.
            end: the value at last; ``None`` stays at ``start``.
            steps: environment steps of a seed between the two, at least 1.
            shape: ``"linear"``; ``"cosine"``, slow at both ends; ``"exponential"``, by equal factors, for numbers above
                0; or ``"constant"``, a jump after ``steps``.
            warmup: steps of a straight rise from nothing to ``start`` at the very beginning, at least 0.
            delay: steps at ``start`` before it begins to change, after the rise, at least 0.
            every: steps between two changes, at least 1. A learning rate or the noise may change at every step; a
                change of another setting has the agent's update recorded anew, which takes some milliseconds.

        Raises:
            SettingError: if a number is out of its domain, or there is no such shape.
        """
        for name, number, least in (
            ("steps", steps, 1),
            ("warmup", warmup, 0),
            ("delay", delay, 0),
            ("every", every, 1),
        ):
            check_whole(f"schedule.{name}", number, least=least)
        if not isinstance(setting, str):
            raise SettingError(f"schedule.setting: expected the name of a setting of the agent, got {setting!r}")
        end = start if end is None else end
        for name, value in (("start", start), ("end", end)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise SettingError(f"schedule.{name}: expected a finite number, got {value!r}")
        if shape not in SHAPES:
            hint = did_you_mean(shape, SHAPES, "choose one", written=repr)
            raise SettingError(f"schedule.shape: expected one of {SHAPES}, got {shape!r}; {hint}")
        if shape == "exponential" and not (start > 0 and end > 0):
            raise SettingError(f"schedule: shape='exponential' needs numbers above 0, got {start!r} to {end!r}")
        self.setting, self.start, self.end = setting, float(start), float(end)
        self.steps, self.shape, self.warmup, self.delay, self.every = steps, shape, warmup, delay, every
        self._set: dict[int, float] = {}

    @property
    def state_key(self) -> str:
        """One key for each setting; there is no state to keep."""
        return f"Schedule[{self.setting}]"

    def value(self, step: int) -> float:
        """Return the value at a step of a seed."""
        step -= step % self.every
        if step < self.warmup:
            return self.start * (step + 1) / self.warmup
        share = min(1.0, max(0, step - self.warmup - self.delay) / self.steps)
        if share in (0.0, 1.0):
            return self.end if share else self.start
        if self.shape == "exponential":
            return float(self.start * (self.end / self.start) ** share)
        if self.shape == "constant":
            return self.start
        if self.shape == "cosine":
            share = 0.5 - 0.5 * math.cos(math.pi * share)
        return self.start + share * (self.end - self.start)

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Check that the agent has the setting, and that it may change to such values.

        Raises:
            SettingError: if not.
        """
        agent.check_tunable(self.setting, [self.start, self.end, self.value(0)])

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """Set the value of every seed."""
        self._set = {}
        self.on_step_end(trainer, agent)

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Set the value of the next step, where it is another one."""
        for lane in trainer.progress:
            value = self.value(lane.step)
            if self._set.get(lane.seed_index) != value:
                self._set[lane.seed_index] = value
                agent.tune(self.setting, value, seed_index=lane.seed_index)
