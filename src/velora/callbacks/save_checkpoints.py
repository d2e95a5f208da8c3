"""Save the run as it goes: numbered checkpoints, the best, the last, and where it was interrupted."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from velora.callbacks.base import Callback
from velora.callbacks.checkpoint_home import CheckpointHome
from velora.core.errors import NonFiniteError, SettingError, VeloraError
from velora.core.protocols import AgentView, TrainerView
from velora.core.types import Episode, Evaluation

logger = logging.getLogger(__name__)


class SaveCheckpoints(Callback):
    """Write checkpoints of a run into a directory that belongs to it alone.

    A seed that met NaN or infinity isn't saved from then on: what lies there is from before.

    ``epN/`` every ``frequency`` episodes, ``best/`` when an evaluation beats all before it, ``final/`` at the end,
    and ``interrupted/`` when a signal or an error ends the run; beside them, once, ``model_config.json``. With
    several seeds each has these in ``seed<seed>/``. The directory is claimed before training starts: one that holds
    another run or other files, can't be written, or is used by a live process is refused at once.

    Example:
        >>> SaveCheckpoints("checkpoints/ddpg-Pendulum", frequency=50, keep_last=3).state_key
        'SaveCheckpoints[ddpg-Pendulum]'
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        frequency: int | None = 100,
        buffer: bool = True,
        keep_last: int | None = None,
        final: bool = True,
    ) -> None:
        """Choose where, how often and how much to save.

        Args:
            directory: where the checkpoints go.
            frequency: episodes between two ``epN``, at least 1; ``None`` writes none.
            buffer: save the replay buffer too; without it a checkpoint is much smaller, but a run can't be resumed
                from it exactly.
            keep_last: how many ``epN`` stay, at least 1; the oldest goes once a newer one is safe; ``None`` keeps all.
            final: write ``final/`` when the run ends by its budget or by a callback.

        Raises:
            SettingError: if a number is out of its domain.
        """
        for name, value in (("frequency", frequency), ("keep_last", keep_last)):
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (is_whole and value >= 1):
                raise SettingError(f"save_checkpoints.{name}: expected a whole number >= 1 or None, got {value!r}")
        self.directory = Path(directory)
        self.frequency = frequency
        self.buffer = buffer
        self.keep_last = keep_last
        self.final = final
        self._home: CheckpointHome | None = None
        self._is_training = False
        self._due: dict[int, int] = {}
        self._best: dict[int, float] = {}
        self._improved: set[int] = set()
        self._closing: set[int] = set()

    @property
    def state_key(self) -> str:
        """One key per directory name, so that a run may keep two sets of checkpoints."""
        return f"SaveCheckpoints[{self.directory.name}]"

    def seed_state_dict(self, seed: int) -> dict[str, Any]:
        """Return a seed's best evaluation."""
        return {"best": self._best[seed]} if seed in self._best else {}

    def load_seed_state_dict(self, seed: int, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`seed_state_dict` returned."""
        self._best[seed] = float(state["best"])

    def setup(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Claim the directory; begin a branch in it if the run goes on from an older checkpoint than it holds.

        Raises:
            RunDirectoryError: if it isn't to be had; the message says why and what to do.
        """
        self._is_training = False
        self._due, self._best, self._improved, self._closing = {}, {}, set(), set()
        self._home = CheckpointHome(self.directory, run_id=trainer.run_id, seeds=agent.seeds)
        for seed in trainer.progress:
            self._home.go_on(seed)

    def on_train_start(self, trainer: TrainerView, agent: AgentView) -> None:
        """From here on there is something worth saving."""
        self._is_training = True

    def on_episode_end(self, trainer: TrainerView, agent: AgentView, episode: Episode) -> None:
        """Note that a checkpoint is due; it is written once everything else at this episode's end is done."""
        self._closing.add(episode.seed_index)
        is_due = self.frequency is not None and episode.number % self.frequency == 0
        if is_due and not trainer.progress[episode.seed_index].is_lost:
            self._due[episode.seed_index] = episode.number

    def on_train_epoch_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write what is due, then remove what is too old."""
        self._closing.clear()
        self._write_improved(trainer)
        while self._due:
            seed_index, number = self._due.popitem()
            home = self._save(trainer, seed_index, f"ep{number}")
            if self.keep_last is not None:
                home.prune(seed_index, keep=self.keep_last, newest=number)

    def on_evaluation_end(self, trainer: TrainerView, agent: AgentView, evaluation: Evaluation) -> None:
        """Write ``best/`` if no evaluation of this seed was better; at an episode's end it is the last thing done."""
        seed = agent.seeds[evaluation.seed_index]
        if math.isfinite(evaluation.mean) and evaluation.mean > self._best.get(seed, -math.inf):
            self._best[seed] = evaluation.mean
            self._improved.add(evaluation.seed_index)
        if evaluation.seed_index not in self._closing:
            self._write_improved(trainer)

    def on_train_end(self, trainer: TrainerView, agent: AgentView) -> None:
        """Write ``final/``, or ``interrupted/`` if a signal ended the run."""
        is_interrupted = trainer.status == "interrupted"
        self._write_improved(trainer)
        if is_interrupted or self.final:
            for seed_index in range(len(agent.seeds)):
                self._save(trainer, seed_index, "interrupted" if is_interrupted else "final")

    def on_exception(self, trainer: TrainerView, agent: AgentView, exception: BaseException) -> None:
        """Write ``interrupted/``; if that fails too it is logged, and the error that ended the run goes on.

        After a :class:`NonFiniteError` nothing is written, and after ``KeyboardInterrupt`` neither: that is a second
        Ctrl+C, which may come in the middle of an update. The newest ``epN`` is the way back then. A run that was
        refused at its first step has nothing to save.
        """
        is_worth_it = self._is_training and not isinstance(exception, NonFiniteError | KeyboardInterrupt)
        is_worth_it &= trainer.step > 0 or not isinstance(exception, VeloraError)
        for seed_index in range(len(agent.seeds)) if is_worth_it else ():
            try:
                self._write_improved(trainer)
                self._save(trainer, seed_index, "interrupted")
            except Exception:
                logger.exception("%s: seed %d could not be saved", self.directory, agent.seeds[seed_index])
        self._release()

    def teardown(self, trainer: TrainerView, agent: AgentView, stage: str) -> None:
        """Let other runs have the directory."""
        self._release()

    def _write_improved(self, trainer: TrainerView) -> None:
        """Write ``best/`` where it is due."""
        while self._improved:
            self._save(trainer, self._improved.pop(), "best")

    def _save(self, trainer: TrainerView, seed_index: int, name: str) -> CheckpointHome:
        """Write one checkpoint, and the overview with the first; nothing of a seed that was lost."""
        home = self._home
        if home is None:
            raise SettingError("save_checkpoints: expected setup() before the first save; pass it to train(callbacks=)")
        if trainer.progress[seed_index].is_lost:
            return home
        needs_config = home.needs_config(seed_index)
        trainer.save(home.parent(seed_index) / name, buffer=self.buffer, config=needs_config, seed_index=seed_index)
        return home

    def _release(self) -> None:
        self._is_training = False
        if self._home is not None:
            self._home.release()
            self._home = None
