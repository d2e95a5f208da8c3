"""What callbacks see of a run, and what they may ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from velora.callbacks.evaluate import Evaluate
from velora.checkpoint.contents import Contents
from velora.core.errors import SettingError
from velora.core.types import Evaluation, Filmed, WindowStats
from velora.envs import Environments
from velora.metrics.store import RunStore
from velora.training.environments import stating
from velora.training.evaluation import MAX_STEPS, reset_seeds
from velora.training.evaluation_environments import EvaluationEnvironments
from velora.training.filming import film
from velora.training.hook_table import HookTable
from velora.training.judging import InterruptedEvaluationError, Judging
from velora.training.lane import Lane
from velora.training.loggers import Loggers, as_numbers
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent
from velora.training.resume import report, run_state
from velora.training.resume.circumstances import Circumstances
from velora.training.saving import Failed, Saving
from velora.training.waiting import Waiting

if TYPE_CHECKING:
    from lightning.fabric import Fabric
    from lightning.pytorch.loggers import Logger


class RunView:
    """Run as callbacks know it; :class:`velora.core.protocols.TrainerView` is what they are promised of it.

    Attributes:
        status: ``"running"``, then ``"finished"`` (the budget is used up), ``"stopped"`` (by a callback),
            ``"interrupted"`` (by a signal) or ``"crashed"`` (by an exception).
        run_id: names the run in its checkpoints and metrics; a resume keeps it.
        metrics: the run store, open from ``on_fit_start`` to the end.
    """

    run_id: str
    status: str
    should_stop: bool
    stop_reason: str | None
    evaluate_every: int | None
    callbacks: list[Any]
    hooks: HookTable
    waiting: Waiting
    metrics: RunStore | None
    _agent: TrainableAgent
    _envs: Environments
    _evaluation_envs: EvaluationEnvironments
    _judging: Judging
    _lanes: list[Lane]
    _loggers: Loggers
    _logged_early: list[tuple[Mapping[str, float], int]]
    _loop: Loop
    _saving: Saving
    _circumstances: Circumstances

    # -------------------------------------------------------------------------------------------------- where it is

    @property
    def progress(self) -> Sequence[Lane]:
        """Where every seed stands."""
        return self._lanes

    @property
    def episode(self) -> int:
        """Episodes finished by the slowest seed that still trains."""
        return min(lane.episode for lane in self._training_lanes())

    @property
    def step(self) -> int:
        """Environment steps taken by the seed that stands furthest (all stand together unless a resume parted them)."""
        return max(lane.step for lane in self._lanes)

    @property
    def update(self) -> int:
        """Gradient updates made, by the seed that made most."""
        return max(lane.update for lane in self._lanes)

    @property
    def window(self) -> WindowStats:
        """Statistics of the first seed's last returns."""
        return self._lanes[0].window

    @property
    def last_evaluation(self) -> Evaluation | None:
        """The newest evaluation of this process."""
        return self._judging.made[-1] if self._judging.made else None

    @property
    def is_evaluated(self) -> bool:
        """Whether rounds of evaluation come by themselves."""
        return self.evaluate_every is not None or any(isinstance(c, Evaluate) for c in self.callbacks)

    @property
    def fabric(self) -> Fabric:
        """Lightning's Fabric; only loggers and stock callbacks need it, and importing Lightning takes two seconds."""
        return self._loggers.fabric(self._agent.device)

    @property
    def loggers(self) -> list[Logger]:
        """The loggers that the run's numbers go to."""
        return self._loggers.all

    def losses(self, seed_index: int | None = None) -> dict[str, float]:
        """Read the newest update's metrics, of one seed or averaged over those that learn; this waits for the device.

        A seed that has not learned has none.
        """
        lanes = self._training_lanes() if seed_index is None else [self._lanes[seed_index]]
        rows = [lane.seed_index for lane in lanes if lane.update]
        if not rows:
            return {}
        read = {name: value.tolist() for name, value in self._loop.metrics.items()}
        return {name: sum(values[k] for k in rows) / len(rows) for name, values in read.items()}

    # ----------------------------------------------------------------------------------------- what it can be asked

    def stop(self, reason: str, *, seed_index: int | None = None) -> None:
        """Stop after the step in progress: the run, or one of its seeds."""
        if seed_index is None or len(self._lanes) == 1:
            self.should_stop = True
            self.stop_reason = reason
        elif not self._lanes[seed_index].done and self._lanes[seed_index].stop_reason is None:
            self._lanes[seed_index].stop_reason = reason
            self._gather_stop_reasons()

    def log(self, metrics: Mapping[str, float], *, seed_index: int = 0) -> None:
        """Record numbers in the metrics, at the seed's step, and send them to the loggers.

        To the loggers of a run of several seeds, their names tell the seed. What was logged before the metrics are
        open, in ``setup``, goes into them then.

        Raises:
            SettingError: if one isn't a number, or there is no such seed.
        """
        if not 0 <= seed_index < len(self._lanes):
            raise SettingError(f"log: expected a seed_index from 0 to {len(self._lanes) - 1}, got {seed_index!r}")
        numbers = as_numbers(metrics)
        if self.metrics is None:
            self._logged_early.append((numbers, seed_index))
        else:
            self._record(numbers, seed_index)
        self._send(numbers, seed_index)

    def _record(self, numbers: Mapping[str, float], seed_index: int) -> None:
        lane = self._lanes[seed_index]
        self._store.add_logged(numbers, seed=lane.seed, step=lane.step, update=lane.update, episode=lane.episode)

    def _send(self, numbers: Mapping[str, float], seed_index: int) -> None:
        """Send numbers, which have rows of their own, to the loggers."""
        if self.loggers:
            lane = self._lanes[seed_index]
            prefix = self._prefix(lane)
            self._loggers.log({prefix + name: value for name, value in numbers.items()}, step=lane.step)

    def log_video(self, path: str | Path, step: int | None = None, *, name: str = "video", seed_index: int = 0) -> None:
        """Send a video file to the loggers that can show or keep one; ``step=None`` is where the seed stands."""
        lane = self._lanes[seed_index]
        step = lane.step if step is None else step
        self._loggers.log_video(self._prefix(lane) + name, Path(path).absolute(), step=step)

    def log_figure(self, figure: Any, step: int | None = None, *, name: str = "figure", seed_index: int = 0) -> None:
        """Send a figure of Matplotlib's, or the path of an image, to the loggers that can show or keep one."""
        lane = self._lanes[seed_index]
        self._loggers.log_figure(self._prefix(lane) + name, figure, step=lane.step if step is None else step)

    def _prefix(self, lane: Lane) -> str:
        """Return what the names of a seed's numbers begin with."""
        return "" if len(self._lanes) == 1 else f"seed{lane.seed}/"

    def log_settings(self, settings: Mapping[str, Any]) -> None:
        """Send the settings of the run to the loggers."""
        self._loggers.describe(settings)

    def save(
        self,
        directory: str | Path,
        *,
        buffer: bool = True,
        config: bool = False,
        seed_index: int = 0,
        wait: bool = True,
        failed: Failed | None = None,
    ) -> Path:
        """Write a checkpoint of one seed that a run can be resumed from, which takes its replay buffer.

        In the middle of a step, from ``on_episode_start`` to ``on_env_step``, the run is not whole. A save that is
        asked for there is made at the end of the step, and the hooks of a save fire then.

        See :meth:`velora.models.Agent.save` for the rest.

        Args:
            wait: ``False`` copies what the checkpoint holds, and writes it while training goes on. The hooks that tell
                of it fire at the end of the step by which it is on the disk.
            failed: told, with ``wait=False``, that the system refused the save; else that is raised, at the end of a
                step.

        Returns:
            The checkpoint's directory, in the middle of a step, or with ``wait=False``, the one that it will have.

        Raises:
            SettingError: if there is no such seed, or no run at this time.
            CheckpointError: if it can't be written.
        """
        store, path = self._store, Path(directory).absolute()
        if not 0 <= seed_index < len(self._lanes):
            raise SettingError(f"save: expected a seed_index from 0 to {len(self._lanes) - 1}, got {seed_index!r}")
        lane = self._lanes[seed_index]

        def do() -> None:
            self._saving.finish(seed_index)
            sync_rows = report.syncing_rows(store, path)
            contents = self._contents(lane, buffer=buffer, config=config, copy=not wait)
            if wait:
                sync_rows()
                self._saving.now(lane, path, contents)
            else:
                self._saving.begin(seed_index, path, contents, first=sync_rows, failed=failed)

        self.waiting.do(f"save into {path}", do)
        return path

    def _saved(self, path: Path) -> None:
        self.hooks.fire("on_checkpoint_saved", path)
        self._loggers.log_checkpoint(path)

    def _contents(self, lane: Lane, *, buffer: bool, config: bool, copy: bool) -> Contents:
        """Gather what a checkpoint of a seed and its run holds."""
        extra: dict[str, Any] = {}
        self.hooks.fire("on_save_checkpoint", extra)
        state = run_state.pack_run(
            run_id=self.run_id,
            agent=self._agent,
            lane=lane,
            loop=self._loop,
            callbacks=self.callbacks,
            extra=extra,
            circumstances=self._circumstances,
        )
        with stating(self._agent, self._envs, lane):
            return self._agent.training_contents(
                lane.seed_index, buffer=buffer, config=config, train_state=state, copy=copy
            )

    def evaluate(self, seed_indices: Sequence[int] | None = None) -> list[Evaluation]:
        """Evaluate now on the fixed evaluation episodes, and record it: every seed, or these positions of the axis.

        Returns:
            One evaluation for each seed; none if a signal came in between.

        Raises:
            SettingError: in the middle of an episode, where the training environment is the only one there is.
        """
        lanes = [lane for lane in self._lanes if not lane.is_lost] if seed_indices is None else None
        made = self._judging.evaluate(
            self._agent,
            self._evaluation_envs,
            [self._lanes[k] for k in seed_indices or ()] if lanes is None else lanes,
            loop=self._loop,
            hooks=self.hooks,
            on_step=self._check_interrupted,
        )
        if not made:
            return []
        self.hooks.fire("on_validation_end")
        for evaluation in made:
            self._store.add_evaluation(evaluation, seed=self._lanes[evaluation.seed_index].seed)
            self._send({"evaluation/mean": evaluation.mean}, seed_index=evaluation.seed_index)
            self.hooks.fire("on_evaluation_end", evaluation)
        return made

    def film(
        self,
        path: str | Path,
        *,
        episodes: int = 1,
        seed: int | None = None,
        every: int = 1,
        max_steps: int = MAX_STEPS,
        seed_index: int = 0,
    ) -> Filmed | None:
        """Play now in an environment of its own, without noise or learning, and write a video of it.

        Args:
            path: the file; ``.mp4``, ``.webp`` or ``.gif``.
            episodes: how many one after another.
            seed: decides the episodes; ``None`` takes the first of evaluation.
            every: steps between two pictures.
            max_steps: steps after which an episode is cut.
            seed_index: whose policy.

        Returns:
            What came of it; ``None`` if a signal came in between.

        Raises:
            SettingError, SpaceError: if the environment draws no pictures, or the format can't be written.
        """
        env, agent = self._evaluation_envs.drawing(seed_index), self._agent
        own = {"seed_index": seed_index, "every": every, "max_steps": max_steps}
        on_step = self._check_interrupted
        try:
            return film(agent, env, Path(path).absolute(), reset_seeds(seed, episodes), on_step=on_step, **own)
        except InterruptedEvaluationError:
            return None

    def choose_evaluation(self, *, episodes: int | None = None, seed: int | None = None) -> None:
        """Choose the episodes of all evaluations of this run: how many, and a seed that decides which."""
        self._judging.choose(episodes=episodes, seed=seed)

    def check_environment_attributes(self, names: Iterable[str]) -> None:
        """Check that the environment has numbers of these names, which training is going to change.

        Raises:
            SettingError: naming the first that it hasn't.
        """
        self._envs.parameters.check(names)
        self._evaluation_envs.expect_changes(names)

    def change_environment(self, parameters: Mapping[str, float], *, seed_index: int = 0) -> None:
        """Set numbers among the attributes of a seed's training environments, from their next episode on.

        Checkpoints hold with what an episode was lived. An attribute that isn't among them is as it was made.
        """
        self._lanes[seed_index].parameters = dict(parameters)

    def _gather_stop_reasons(self) -> None:
        """Collect the reasons why single seeds were stopped."""
        reasons = [f"seed {lane.seed}: {lane.stop_reason}" for lane in self._lanes if lane.stop_reason is not None]
        self.stop_reason = "; ".join(reasons) or None

    def _check_interrupted(self) -> None:
        if self.status == "interrupted":
            raise InterruptedEvaluationError

    @property
    def _store(self) -> RunStore:
        if self.metrics is None:
            raise SettingError("trainer: it saves and evaluates from on_fit_start to on_fit_end only")
        return self.metrics

    def _training_lanes(self) -> list[Lane]:
        return [lane for lane in self._lanes if not lane.done] or self._lanes
