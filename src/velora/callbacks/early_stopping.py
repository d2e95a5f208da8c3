"""Stop training when it is good enough, or no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from velora.callbacks.base import Callback
from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode, Evaluation

MONITORS = ("window", "evaluation")


@dataclass(slots=True)
class _Watch:
    """Follow one seed: its best value so far (None before the first) and how many values since didn't beat it."""

    best: float | None = None
    waited: int = 0


class EarlyStopping(Callback):
    """Stop a seed that reached its target, or whose returns stopped improving; the others train on.

    What is watched is the mean of the window, at each episode's end and only once the window is full, or the mean of
    each round of evaluation, which is free of exploration noise and the better judge (it needs ``evaluate_every``).

    Example:
        >>> EarlyStopping(target=-200.0).state_key
        'EarlyStopping[window]'
    """

    def __init__(
        self,
        *,
        target: float | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        monitor: str = "window",
    ) -> None:
        """Choose when to stop; at least one of ``target`` and ``patience`` is needed.

        Args:
            target: stop once the watched mean is at least this, in units of the return.
            patience: stop after so many episodes (``monitor="window"``) or rounds of evaluation in a row without
                improvement, >= 1.
            min_delta: what counts as improvement: more than this above the best so far, >= 0.
            monitor: ``"window"`` or ``"evaluation"``.

        Raises:
            SettingError: if a setting is out of its domain, or neither ``target`` nor ``patience`` is given.
        """
        if target is None and patience is None:
            raise SettingError("early_stopping: expected target= or patience= (or both), got neither")
        if target is not None and not math.isfinite(target):
            raise SettingError(f"early_stopping.target: expected a finite number, got {target!r}")
        if patience is not None and (isinstance(patience, bool) or not isinstance(patience, int) or patience < 1):
            raise SettingError(f"early_stopping.patience: expected a whole number >= 1, got {patience!r}")
        if not (math.isfinite(min_delta) and min_delta >= 0):
            raise SettingError(f"early_stopping.min_delta: expected a finite number >= 0, got {min_delta!r}")
        if monitor not in MONITORS:
            hint = did_you_mean(monitor, MONITORS, "choose one", written=repr)
            raise SettingError(f"early_stopping.monitor: expected one of {MONITORS}, got {monitor!r}; {hint}")
        self.target = target
        self.patience = patience
        self.min_delta = min_delta
        self.monitor = monitor
        self._watches: dict[int, _Watch] = {}

    @property
    def state_key(self) -> str:
        """One key per monitor, so that both kinds may watch the same run."""
        return f"EarlyStopping[{self.monitor}]"

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return a seed's best value and its wait."""
        return asdict(self._watches[seed]) if seed in self._watches else {}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`seed_state_dict` returned.

        Raises:
            SettingError: if it isn't a number and a count.
        """
        match dict(state):
            case {"best": None | int() | float() as best, "waited": int() as waited} if len(state) == 2 and waited >= 0:
                if best is None or math.isfinite(best):
                    self._watches[seed] = _Watch(best, waited)
                    return
        raise SettingError(f"{self.state_key}: expected a finite 'best' and a count 'waited', found another state")

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Forget an earlier run, and refuse to wait for evaluations that never come.

        Raises:
            SettingError: if evaluation is monitored in a run without it.
        """
        self._watches = {}
        if self.monitor == "evaluation" and not trainer.is_evaluated:
            raise SettingError(
                "early_stopping.monitor: 'evaluation' needs rounds of evaluation, but evaluate_every is None; "
                "set evaluate_every, add the callback Evaluate, or use monitor='window'"
            )

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Judge the window of the seed whose episode ended."""
        window = trainer.progress[episode.seed_index].window
        if self.monitor == "window" and window.is_full:
            self._judge(trainer, agent, episode.seed_index, window.mean)

    def on_evaluation_end(self, trainer: TrainerView, agent: AgentView, evaluation: Evaluation) -> None:
        """Judge a round of evaluation."""
        if self.monitor == "evaluation":
            self._judge(trainer, agent, evaluation.seed_index, evaluation.mean)

    def _judge(self, trainer: TrainerView, agent: AgentView, seed_index: int, value: float) -> None:
        """Compare a new mean with the target and with the best so far, and stop the seed if it is time."""
        watch = self._watches.setdefault(agent.seeds[seed_index], _Watch())
        if self.target is not None and value >= self.target:
            reason = f"{self.monitor} mean {value:.6g} reached the target {self.target:.6g}"
            trainer.stop(reason, seed_index=seed_index)
            return
        if math.isfinite(value) and (watch.best is None or value > watch.best + self.min_delta):
            watch.best, watch.waited = value, 0
            return
        watch.waited += 1
        if self.patience is not None and watch.waited >= self.patience:
            unit = "episodes" if self.monitor == "window" else "evaluations"
            best = "a finite value" if watch.best is None else f"{watch.best:.6g}"
            reason = f"{self.monitor} mean did not rise above {best} for {watch.waited} {unit}"
            trainer.stop(reason, seed_index=seed_index)
