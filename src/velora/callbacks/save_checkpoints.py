"""Save the run as it goes: numbered checkpoints, the best, the newest, the last, and where it was cut short."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.cadence import check_whole
from velora.callbacks.checkpoint_home import CheckpointHome
from velora.callbacks.on_the_way import OnTheWay, Save
from velora.callbacks.save_clock import SaveClock
from velora.callbacks.top import Top
from velora.core.errors import NonFiniteError, SettingError, VeloraError
from velora.core.paths import checked_path
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode, Evaluation

logger = logging.getLogger(__name__)


class SaveCheckpoints(Callback):
    """Write checkpoints of a run into a directory that belongs to it alone.

    A seed that met NaN or infinity isn't saved from then on: what lies there is from before.

    ``epN/`` every ``frequency`` episodes, ``stepN/`` every ``steps`` environment steps, ``recent/`` when for
    ``minutes`` nothing else was written or SIGUSR1 asks for it, ``best/`` when an evaluation beats all before it,
    ``topN/`` when it is among the best ``keep_best``, ``final/`` at the end, ``interrupted/`` when a signal ends the
    run and ``crashed/`` when an error does; beside them, once, ``model_config.json``. With several seeds each has these
    in ``seed<seed>/``. The directory is claimed before training starts: one that holds another run or other files,
    can't be written, or is used by a live process is refused at once.

    On the way they are written while training goes on. A full disk doesn't end a run then: it is reported, and the next
    save tries again. At the end it is an error.

    Example:
        >>> SaveCheckpoints("checkpoints/ddpg-Pendulum", frequency=50, keep_last=3).state_key
        'SaveCheckpoints[ddpg-Pendulum]'
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        frequency: int | None = 100,
        steps: int | None = None,
        minutes: float | None = 10.0,
        buffer: bool = True,
        keep_last: int | None = None,
        keep_best: int = 1,
        final: bool = True,
    ) -> None:
        """Choose where, how often and how much to save.

        Args:
            directory: where the checkpoints go.
            frequency: episodes between two ``epN``, at least 1; ``None`` writes none.
            steps: environment steps of a seed between two ``stepN``, at least 1; ``None`` writes none.
            minutes: write ``recent/``, over the one before, when nothing else was written for so long, and the first
                after one minute at most; above 0, ``None`` writes it at SIGUSR1 only.
            buffer: save the replay buffer too; without it a checkpoint is much smaller, but a run can't be resumed
                from it exactly.
            keep_last: how many ``epN`` stay, and how many ``stepN``, at least 1; the oldest goes once a newer one is
                safe; ``None`` keeps all.
            keep_best: of so many evaluations the agents stay, at least 1: the best one is ``best/``, and with more than
                1 all of them are ``topN/`` too, after their environment step.
            final: write ``final/`` when the run ends by its budget or by a callback.

        Raises:
            SettingError: if a number is out of its domain, or the directory is no path.
        """
        for name, value in (("frequency", frequency), ("steps", steps), ("keep_last", keep_last)):
            check_whole(f"save_checkpoints.{name}", value, or_none=True)
        check_whole("save_checkpoints.keep_best", keep_best)
        self.directory = checked_path("save_checkpoints.directory", directory).absolute()
        self.frequency, self.steps, self.minutes = frequency, steps, minutes
        self.buffer, self.keep_last, self.keep_best, self.final = buffer, keep_last, keep_best, final
        self._on_the_way = OnTheWay(SaveClock(minutes))
        self._home: CheckpointHome | None = None
        self._is_training = False
        self._due: dict[int, int] = {}
        self._best: dict[int, float] = {}
        self._top, self._new_top = Top(keep_best), dict[int, int]()
        self._improved: dict[int, float | None] = {}
        self._closing: set[int] = set()
        self._seen_step, self._seen_requests = dict[int, int](), 0

    @property
    def state_key(self) -> str:
        """One key per directory name, so that a run may keep two sets of checkpoints."""
        return f"SaveCheckpoints[{self.directory.name}]"

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return a seed's best evaluation, and those that are kept beside it."""
        if seed not in self._best:
            return {}
        return {"best": self._best[seed], **({"top": self._top.state(seed)} if self.keep_best > 1 else {})}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`seed_state_dict` returned; anything else is a ``SettingError``."""
        best = state.get("best")
        if not isinstance(best, int | float) or not math.isfinite(best):
            raise SettingError(f"{self.state_key}: expected a finite number 'best', found another state")
        self._best[seed] = float(best)
        self._top.load(seed, state)

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Claim the directory; begin a branch in it if the run goes on from an older checkpoint than it holds.

        Raises:
            RunDirectoryError: if it isn't to be had; the message says why and what to do.
        """
        self._is_training = False
        self._due, self._best, self._improved, self._closing = {}, {}, {}, set()
        self._top, self._new_top = Top(self.keep_best), {}
        self._on_the_way = OnTheWay(SaveClock(self.minutes))
        self._home = CheckpointHome(self.directory, run_id=trainer.run_id, seeds=agent.seeds)
        for seed in trainer.progress:
            self._home.go_on(seed)

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """From here on there is something worth saving."""
        self._is_training = True
        self._seen_step = {lane.seed_index: lane.step for lane in trainer.progress}
        self._seen_requests = 0
        self._on_the_way.clock.start(self._seen_step, time.monotonic())

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Note that a checkpoint is due; it is written once everything else at this episode's end is done."""
        self._closing.add(episode.seed_index)
        is_due = self.frequency is not None and episode.number % self.frequency == 0
        if is_due and not trainer.progress[episode.seed_index].is_lost:
            self._due[episode.seed_index] = episode.number

    def on_train_epoch_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write what is due by episodes."""
        self._closing.clear()
        self._write_improved(trainer, agent)
        while self._due:
            seed_index, number = self._due.popitem()
            self._save_on_the_way(trainer, Save(seed_index, "ep", number))

    def on_step_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write what is due by steps, by the clock, or since a signal asked for it."""
        if self.steps is not None:
            for lane in trainer.progress:
                k, step = lane.seed_index, lane.step
                if step // self.steps > self._seen_step[k] // self.steps:
                    self._save_on_the_way(trainer, Save(k, "step", step))
                self._seen_step[k] = step
        is_asked = trainer.save_requests != self._seen_requests
        if is_asked or time.monotonic() >= self._on_the_way.clock.alarm:
            self._seen_requests = trainer.save_requests
            at = {lane.seed_index: lane.step for lane in trainer.progress}
            for k in self._on_the_way.clock.due(at, time.monotonic(), is_asked=is_asked):
                self._save_on_the_way(trainer, Save(k, "recent"))

    def on_evaluation_end(self, trainer: TrainerView, agent: AgentView, evaluation: Evaluation) -> None:
        """Write ``best/`` if no evaluation of this seed was better; at an episode's end it is the last thing done."""
        seed = agent.seeds[evaluation.seed_index]
        if math.isfinite(evaluation.mean) and evaluation.mean > self._best.get(seed, -math.inf):
            self._improved.setdefault(evaluation.seed_index, self._best.get(seed))
            self._best[seed] = evaluation.mean
        if self.keep_best > 1 and self._top.add(seed, evaluation.mean, evaluation.step) and evaluation.step:
            self._new_top[evaluation.seed_index] = evaluation.step
        if evaluation.seed_index not in self._closing:
            self._write_improved(trainer, agent)

    def on_train_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write ``final/``, or ``interrupted/`` if a signal ended the run."""
        is_interrupted = trainer.status == "interrupted"
        self._write_improved(trainer, agent)
        if is_interrupted or self.final:
            errors = []
            for seed_index in range(len(agent.seeds)):
                try:
                    self._save(trainer, seed_index, "interrupted" if is_interrupted else "final")
                except NonFiniteError as error:  # the other seeds are whole
                    errors.append(error)
            if errors:
                raise errors[0]

    def on_exception(self, trainer: TrainerView, agent: AgentView, exception: BaseException) -> None:
        """Write ``crashed/``, or say why not; the error that ended the run goes on in any case.

        After a :class:`NonFiniteError` nothing is written, and after ``KeyboardInterrupt`` neither: that is a second
        Ctrl+C, which may come in the middle of an update. A run that was refused at its first step has nothing to save.
        """
        is_refused = trainer.step == 0 and isinstance(exception, VeloraError)
        if self._is_training and not is_refused:
            if isinstance(exception, NonFiniteError | KeyboardInterrupt):
                why = "it was told to end at once" if isinstance(exception, KeyboardInterrupt) else str(exception)
                logger.warning("%s: nothing is saved of the end of the run: %s", self.directory, why)
            else:
                for seed_index in range(len(agent.seeds)):
                    self._save_crashed(trainer, agent, seed_index)
        self._release()

    def teardown(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Let other runs have the directory."""
        self._release()

    def _save_crashed(self, trainer: TrainerView, agent: AgentView, seed_index: int) -> None:
        seed = agent.seeds[seed_index]
        try:
            self._write_improved(trainer, agent)
            self._save(trainer, seed_index, "crashed")
        except (VeloraError, OSError) as error:
            logger.error("%s: seed %d is not saved as crashed/: %s", self.directory, seed, error)
        except Exception:
            logger.exception("%s: seed %d is not saved as crashed/", self.directory, seed)

    def on_checkpoint_saved(self, trainer: TrainerView, agent: AgentView, path: Path) -> None:
        """Remove what is too old, now that a newer one is on the disk."""
        save = self._on_the_way.end(path)
        if save is None or save.number is None:
            return
        if save.kind == "top":
            self._claimed().keep_only(save.seed_index, "top", self._top.steps(agent.seeds[save.seed_index]))
        elif self.keep_last is not None:
            self._claimed().prune(save.seed_index, save.kind, keep=self.keep_last, newest=save.number)

    def _write_improved(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write ``best/`` and ``topN/`` where they are due."""
        while self._improved:
            seed_index, before = self._improved.popitem()
            seed = agent.seeds[seed_index]
            undo = partial(self._take_back_best, seed, self._best[seed], before)
            self._save_on_the_way(trainer, Save(seed_index, "best"), undo=undo)
        while self._new_top:
            seed_index, step = self._new_top.popitem()
            undo = partial(self._top.drop, agent.seeds[seed_index], step)
            self._save_on_the_way(trainer, Save(seed_index, "top", step), undo=undo)

    def _take_back_best(self, seed: int, mean: float, before: float | None) -> None:
        """Count an evaluation no longer as the best, since its agent could not be saved."""
        if self._best.get(seed) == mean:
            del self._best[seed]
            if before is not None:
                self._best[seed] = before

    def _save_on_the_way(self, trainer: TrainerView, save: Save, *, undo: Callable[[], None] = lambda: None) -> None:
        """Begin to write a checkpoint; if the system refuses it, training goes on."""
        if trainer.progress[save.seed_index].is_lost:
            return
        path, step = self._claimed().parent(save.seed_index) / save.name, trainer.progress[save.seed_index].step
        fail = self._on_the_way.begin(path, save, step=step, undo=undo)
        self._save(trainer, save.seed_index, save.name, failed=fail)

    def _save(
        self, trainer: TrainerView, seed_index: int, name: str, *, failed: Callable[[OSError], None] | None = None
    ) -> None:
        """Write one checkpoint, and the overview with the first: at once, or while training goes on.

        Nothing is written of a seed that was lost.
        """
        if trainer.progress[seed_index].is_lost:
            return
        home = self._claimed()
        home.make_way(seed_index, name)
        trainer.save(
            home.parent(seed_index) / name,
            buffer=self.buffer,
            config=home.needs_config(seed_index),
            seed_index=seed_index,
            wait=failed is None,
            failed=failed,
        )

    def _claimed(self) -> CheckpointHome:
        if self._home is None:
            raise SettingError("save_checkpoints: expected setup() before the first save; pass it to train(callbacks=)")
        return self._home

    def _release(self) -> None:
        self._is_training = False
        if self._home is not None:
            self._home.release()
            self._home = None
