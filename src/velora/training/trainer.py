"""The one loop: act, step and learn at once, store; hooks where their names say."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from velora.callbacks.base import Callback
from velora.callbacks.print_summary import PrintSummary
from velora.callbacks.progress_bar import ProgressBar
from velora.callbacks.progress_view import is_steps_alone
from velora.core.cores import n_cores
from velora.core.errors import SettingError
from velora.core.paths import checked_path
from velora.core.threads import computing_on
from velora.envs.make import EnvLike
from velora.envs.workers import in_workers
from velora.metrics.store import RunStore
from velora.training import lightning_callbacks, lightning_trainer
from velora.training.environments import prepare_environments, stating
from velora.training.evaluation import MAX_STEPS, without_limit
from velora.training.hold import held
from velora.training.hook_table import NO_HOOKS, HookTable, listed
from velora.training.judging import Judging
from velora.training.lane import Lane
from velora.training.loggers import Asked, Loggers, as_only_process
from velora.training.loop import Loop
from velora.training.protocol import TrainableAgent
from velora.training.result import TrainResult
from velora.training.resume import callback_state, circumstances, report, restore, run_state
from velora.training.run_view import RunView
from velora.training.saving import Saving
from velora.training.signals import on_signals
from velora.training.stock_list import is_stock
from velora.training.waiting import Waiting

log = logging.getLogger(__name__)


class Trainer(RunView):
    """Train an agent in an environment, once. Its arguments are those of :meth:`velora.models.Agent.train`.

    Raises:
        SettingError: if a setting is out of its domain.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        n_episodes: int | None = None,
        n_steps: int | None = None,
        window_size: int = 10,
        evaluate_every: int | None = None,
        evaluation_episodes: int = 10,
        evaluation_max_steps: int = MAX_STEPS,
        callbacks: Callback | Sequence[Callback] | None = None,
        logger: Asked = None,
        run_dir: str | Path | None = None,
        progress_bar: bool = True,
        summary: bool = True,
        log_every: int = 100,
        threads: int | None = None,
        workers: int = 0,
        worker_timeout_s: float = 60.0,
    ) -> None:
        self.batch_size = _at_least_one("batch_size", batch_size)
        self.n_steps = None if n_steps is None else _at_least_one("n_steps", n_steps)
        if n_episodes is None:  # an episode has a step at least: as many episodes as steps never end a run
            n_episodes = 100 if self.n_steps is None else self.n_steps
        self.n_episodes = _at_least_one("n_episodes", n_episodes)
        self.window_size = _at_least_one("window_size", window_size)
        self.evaluate_every = None if evaluate_every is None else _at_least_one("evaluate_every", evaluate_every)
        self._judging = Judging(
            every=self.evaluate_every,
            episodes=_at_least_one("evaluation_episodes", evaluation_episodes),
            max_steps=_at_least_one("evaluation_max_steps", evaluation_max_steps),
        )
        self.log_every = _at_least_one("log_every", log_every)
        self.threads = None if threads is None else _at_least_one("threads", threads)
        self._make_workers = in_workers(workers, worker_timeout_s)
        self._loggers = Loggers(logger)
        self.run_dir = None if run_dir is None else checked_path("run_dir", run_dir).absolute()
        self.callbacks = listed(callbacks)
        progress_bar = progress_bar and not lightning_trainer.bars(self.callbacks)
        for wanted, kind in ((summary, PrintSummary), (progress_bar, ProgressBar)):
            if wanted and not any(isinstance(c, kind) for c in self.callbacks):
                self.callbacks.append(kind())
        self.run_id = secrets.token_hex(8)
        self.environment = ""
        self.status = "running"
        self.should_stop = False
        self.stop_reason = None
        self.save_requests = 0
        self.hooks = NO_HOOKS
        self.waiting = Waiting()
        self._saving = Saving(self._saved, lambda seed_index, fault: self._loop.lost.add(seed_index, fault))
        self.metrics = None
        self._logged_early, self._lanes = [], []

    # --------------------------------------------------------------------------------------------------- the run

    def fit(self, agent: TrainableAgent, env: EnvLike, *, resume: str | Path | None = None) -> TrainResult:
        """Train; see :meth:`velora.models.Agent.train`."""
        if self.status != "running" or self._lanes:
            raise SettingError("fit: a Trainer runs once; make another one")
        resumed = None if resume is None else checked_path("resume", resume).absolute()  # environments may chdir
        with ExitStack() as stack:
            stack.enter_context(computing_on(self.threads or 1))
            stack.enter_context(as_only_process())
            self._prepare(agent, env, stack, is_resumed=resume is not None)
            saved = None if resumed is None else restore.restore_agent(agent, resumed)
            self._make_lanes(agent, saved)
            rows_until = {self._prefix(lane): lane.has_rows_until for lane in self._lanes}
            self._loggers.open(
                run_id=self.run_id, run_dir=self.run_dir, is_resumed=saved is not None, rows_until=rows_until
            )
            before = [lane.step for lane in self._lanes]
            with on_signals(save=self._request_save, end=self._interrupt) as self._signals:
                try:
                    self._start(agent, saved, stack)
                    self._evaluate_if_due()  # a resumed run may have been stopped in the middle of an evaluation
                    self._close_episodes()
                    while not self._is_over():
                        self._step()
                    self._end()
                except BaseException as error:
                    self._crash(error)
                    raise
        return TrainResult(
            self.status,
            self.stop_reason,
            [lane.returns for lane in self._lanes],
            self._judging.made,
            self.run_dir,
            [lane.stop_reason for lane in self._lanes],
            [lane.step - step for lane, step in zip(self._lanes, before, strict=True)],
            [lane.seed_index for lane in self._lanes if lane.is_lost],
        )

    def _prepare(self, agent: TrainableAgent, env: EnvLike, stack: ExitStack, *, is_resumed: bool) -> None:
        """Check that everything fits together, before anything is written."""
        agent.experience.check_batch_size(self.batch_size)
        self._envs, self._evaluation_envs = prepare_environments(
            agent, env, stack, is_resumed=is_resumed, workers=self._make_workers
        )
        self._agent = agent
        assert agent.environment is not None
        self.environment = agent.environment["id"]
        self._circumstances = circumstances.gather(agent, self._envs.envs[0], batch_size=self.batch_size)
        if self.n_steps is None and (endless := without_limit(self._envs.envs[0])) is not None:
            log.warning(
                "train: %s has no time limit, so where an episode doesn't end, n_episodes=%d is never reached; "
                "give n_steps too, or register it with max_episode_steps",
                endless,
                self.n_episodes,
            )

    def _make_lanes(self, agent: TrainableAgent, saved: run_state.Saved | None) -> None:
        self._lanes = [
            Lane(k, seed, agent.progress[k], n_envs=agent.experience.n_envs, window_size=self.window_size)
            for k, seed in enumerate(agent.seeds)
        ]
        foreign = any(map(is_stock, self.callbacks))
        stock = lightning_callbacks.StockBinding(self, agent, self.fabric) if foreign else None
        self.hooks = HookTable(self.callbacks, self, agent, stock=stock)
        self._loop = Loop(agent, self._envs, self._lanes, self.hooks, batch_size=self.batch_size)
        if saved is not None:
            self.run_id = saved.run_id
            restore.restore_loop(saved, self._loop)
            self._gather_stop_reasons()

    def _start(self, agent: TrainableAgent, saved: run_state.Saved | None, stack: ExitStack) -> None:
        agent.hooks = self.hooks
        self.hooks.fire("setup", "fit")
        agent.configure_training(threads=self.threads or min(n_cores(), agent.n_seeds + 1))
        if saved is not None:
            restore.restore_training(saved, agent)
            restore.restore_callbacks(saved, self.callbacks, self.hooks)
        self._open_store(agent, stack)  # which cuts rows off, so after all that may refuse the run
        self.hooks.fire("on_fit_start")
        self.hooks.fire("on_train_start")
        callback_state.check(self.callbacks, agent.seeds)
        if not self._loggers.is_described:
            self.log_settings({"agent": {"key": agent.key, **agent.settings_dict()}, "env": {"id": self.environment}})
        if saved is not None:
            report.report_changes(saved, self._circumstances, self._store, self._lanes)
            restore.restore_generators(saved, agent)

    def _open_store(self, agent: TrainableAgent, stack: ExitStack) -> None:
        stack.enter_context(held(self.run_dir))
        store = RunStore(None if self.run_dir is None else self.run_dir / "metrics.db")
        stack.enter_context(store)
        store.start_run(
            run_id=self.run_id,
            agent=agent.key,
            environment=self.environment,
            seeds=agent.seeds,
            settings=agent.settings_dict(),
            n_episodes=None if is_steps_alone(self.n_episodes, self.n_steps) else self.n_episodes,
            n_steps=self.n_steps,
        )
        self.metrics = store
        for lane in self._lanes:
            store.truncate_after(seed=lane.seed, episode=lane.episode, step=lane.has_rows_until, update=lane.update)
        for numbers, seed_index in self._logged_early:
            self._record(numbers, seed_index)
        self._logged_early.clear()

    def _end(self) -> None:
        self._saving.finish()
        self._loop.lost.check_any_is_left()
        if not self.should_stop:
            self._gather_stop_reasons()
        if self.status == "running":
            is_stopped = self.should_stop or all(lane.stop_reason is not None for lane in self._lanes)
            self.status = "stopped" if is_stopped else "finished"
        if self.update == 0 and self.step > 0:
            log.warning(
                "train: nothing was learned in %d steps, which the random warm-up and the first batch of %d, or the "
                "first rollout, took up; train longer, or lower warmup_steps, rollout_steps or n_envs",
                self.step,
                self.batch_size,
            )
        self.hooks.fire("on_train_end")
        self.hooks.fire("on_fit_end")
        self._saving.finish()
        self.hooks.fire("teardown", "fit")
        self._close(self.status)

    def _crash(self, error: BaseException) -> None:
        """Fire ``on_exception``; a callback that fails in it is reported and doesn't hide the first error."""
        self.hooks.note_end(error, is_last=self.should_stop and self.status == "running")
        self.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "crashed"
        self.waiting.give_up()
        self._saving.give_up()  # before callbacks let the directory go
        for hook in self.hooks.on_exception:
            try:
                hook(error)
            except Exception:
                log.exception("a callback failed in on_exception")
        self._close(self.status)

    def _close(self, status: str) -> None:
        self._saving.close()
        self._envs.parameters.put_back()
        with stating(self._agent, self._envs, self._lanes[0]):  # for a save of the agent after the run
            self._agent.hooks = NO_HOOKS
        if self.metrics is not None:
            self.metrics.finish_run(status, self.stop_reason)
        outcome = {"finished": "success", "stopped": "success", "interrupted": "interrupted"}.get(status, "failed")
        self._loggers.finalize(outcome, is_hurried=lambda: self.status in ("interrupted", "crashed"))

    def _interrupt(self, signal_name: str) -> None:
        self.status = "interrupted"
        self.stop(f"received {signal_name}")

    def _request_save(self, signal_name: str) -> None:
        self.save_requests += 1

    # --------------------------------------------------------------------------------------------------- the loop

    def _step(self) -> None:
        """Take a step, close the episodes that end with it, and make the saves that hooks asked for within it."""
        self.waiting.is_mid_step = True
        self._loop.step()
        self.waiting.is_mid_step = False
        self._after_step()
        for hook in self.hooks.on_step_end:
            hook()
        self.waiting.catch_up()
        if self._saving.is_busy:
            self._saving.catch_up()
        if self._signals.is_due:  # a handler that may end the process: not before the save is on the disk
            self._saving.finish()
            self._signals.do(self._interrupt)

    def _after_step(self) -> None:
        if self.loggers:
            for lane in self._training_lanes():
                if lane.update // self.log_every > lane.logged_at // self.log_every:
                    lane.logged_at = lane.update
                    self._send(self.losses(lane.seed_index), seed_index=lane.seed_index)
        if self._loop.has_ended:
            self._close_episodes()

    def _close_episodes(self) -> None:
        """Close every episode that has ended; seeds whose evaluation is due are evaluated together.

        Where several environments of a seed end episodes at the same step, these are closed one by one, each with all
        that belongs to its end, and none beyond ``n_episodes``. A signal may have ended an evaluation, which a resume
        makes up for; it closes the others after that.
        """
        while ended := [lane for lane in self._lanes if lane.has_ended and lane.episode < self.n_episodes]:
            for lane in ended:
                self._end_episode(lane)
            self._evaluate_if_due()
            for lane in ended:
                self.hooks.fire("on_train_epoch_end")
                self._finish_if_over(lane)
            if self.status == "interrupted":
                break

    def _end_episode(self, lane: Lane) -> None:
        episode = lane.end()
        window = lane.window
        self._store.add_episode(
            episode,
            seed=lane.seed,
            step=lane.step,
            update=lane.update,
            window=window,
            losses=self.losses(lane.seed_index),
        )
        self._send(
            {"episode/return": episode.reward, "episode/length": float(episode.length)}, seed_index=lane.seed_index
        )
        self.hooks.fire("on_episode_end", episode)
        if lane.episode % self.window_size == 0:
            self.hooks.fire("on_window_end", window)

    def _evaluate_if_due(self) -> None:
        if due := self._judging.due(self._lanes):
            self.evaluate(due)

    def _is_used_up(self, lane: Lane) -> bool:
        return lane.episode >= self.n_episodes or (self.n_steps is not None and lane.step >= self.n_steps)

    def _finish_if_over(self, lane: Lane) -> None:
        if not lane.done and (lane.stop_reason is not None or self._is_used_up(lane)):
            lane.done = True

    def _is_over(self) -> bool:
        is_over = True
        for lane in self._lanes:
            self._finish_if_over(lane)  # by steps, by a callback, or because a resumed run has nothing left to do
            is_over = is_over and lane.done
        return self.should_stop or is_over


def _at_least_one(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise SettingError(f"{name}: expected a whole number of at least 1, got {value!r}")
    return int(value)
