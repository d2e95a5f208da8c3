"""The run store: the rows of a training run, which never stop the training they describe."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from velora.core.errors import VeloraError
from velora.core.types import Episode, Evaluation, WindowStats
from velora.metrics.rows import EpisodeRow, EvaluationRow, ExperimentRow, LoggedRow, now
from velora.metrics.schema import (
    delete_after,
    insert_episode,
    insert_evaluation,
    insert_logged,
    insert_run,
    update_run,
)
from velora.metrics.writer import BatchWriter


class RunStore:
    """Write the rows of one run to SQLite, many to a commit.

    Adding a row only appends to a list. The list is written when it holds ``batch_rows``, when ``interval_s`` have
    passed since the last write, and by :meth:`flush` and :meth:`close`. If the database is locked, read-only, full,
    damaged or deleted, one warning is logged, the rows wait in memory and are tried again later: training goes on.
    Starting a run that is already in the file adds to it.

    Example:
        >>> with RunStore(None) as store:
        ...     store.start_run(run_id="1f", agent="liquid_ddpg", environment="Pendulum-v1", seeds=(7,))
        ...     store.add_evaluation(Evaluation(seed_index=0, step=200, episode=1, returns=(-900.0, -1100.0)), seed=7)
        ...     store.connection.execute("SELECT seed, mean FROM evaluation").fetchall()
        [(7, -1000.0)]
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        batch_rows: int = 200,
        interval_s: float = 2.0,
        max_pending: int = 100_000,
        busy_timeout_s: float = 0.1,
    ) -> None:
        """Make the store; the file is opened by :meth:`start_run`.

        Args:
            path: the database file, or None to keep everything in memory (gone at :meth:`close`).
            batch_rows: write once so many rows wait.
            interval_s: write if the last write is so many seconds ago; after a failure the next attempt waits at
                least as long, however many rows there are.
            max_pending: rows kept in memory at most while the database can't be written; the oldest go first.
            busy_timeout_s: how long training may stall for another process's lock, in seconds.
        """
        self.path = None if path is None else Path(path)
        self._writer = BatchWriter(
            self.path,
            batch_rows=batch_rows,
            interval_s=interval_s,
            max_pending=max_pending,
            busy_timeout_s=busy_timeout_s,
        )
        self._row: ExperimentRow | None = None
        self._ended_s: dict[int, float] = {}  # when each seed's previous episode ended

    def __enter__(self) -> RunStore:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    @property
    def pending(self) -> int:
        """How many rows wait to be written."""
        return self._writer.pending

    @property
    def dropped(self) -> int:
        """How many rows were given up because too many had to wait."""
        return self._writer.dropped

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection, for queries; what could be written before was.

        Raises:
            VeloraError: if the database can't be opened.
        """
        self.flush()
        if self._writer.connection is None:
            raise VeloraError(f"metrics: {self.path} can't be opened; look for the reason in the log")
        return self._writer.connection

    def start_run(
        self,
        *,
        run_id: str,
        agent: str,
        environment: str,
        seeds: Sequence[int],
        settings: Mapping[str, Any] | None = None,
        n_episodes: int | None = None,
        n_steps: int | None = None,
    ) -> None:
        """Record the run as running, and open the file for its rows.

        Args:
            run_id: names the run; one that the file already holds is gone on with.
            agent: the agent's registry key.
            environment: its Gymnasium id.
            seeds: the run seeds, in the order of the seed axis.
            settings: what the agent was made with.
            n_episodes: the budget of each seed, in episodes.
            n_steps: the same in environment steps.
        """
        self._row = ExperimentRow(
            run_id, agent, environment, tuple(seeds), settings or {}, n_episodes=n_episodes, n_steps=n_steps
        )
        self._ended_s = dict.fromkeys(self._row.seeds, time.perf_counter())
        self._writer.lead_with(insert_run(self._row))

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Record settings of the run beside those of its agent.

        Args:
            settings: the values by full name, such as ``"train.batch_size"``.

        Raises:
            VeloraError: if no run was started.
        """
        self._row = replace(self._run(), run_settings=dict(settings))
        self._writer.lead_with(insert_run(self._row))

    def add_episode(
        self,
        episode: Episode,
        *,
        seed: int,
        step: int,
        update: int,
        window: WindowStats,
        losses: Mapping[str, float] | None = None,
    ) -> None:
        """Record a finished episode.

        Args:
            episode: the episode.
            seed: its run seed.
            step: environment steps taken up to its end.
            update: gradient updates made up to its end.
            window: statistics of the last returns, this one included.
            losses: what the newest update reported, by name.

        Raises:
            VeloraError: if no run was started.
        """
        ended_s = time.perf_counter()
        started_s, self._ended_s[seed] = self._ended_s.get(seed, ended_s), ended_s
        row = EpisodeRow(
            seed=seed,
            episode=episode.number,
            step=step,
            updates=update,
            reward=episode.reward,
            length=episode.length,
            terminated=episode.terminated,
            truncated=episode.truncated,
            reset_seed=episode.reset_seed,
            window_mean=window.mean,
            window_std=window.std,
            window_max=window.max,
            window_count=window.count,
            seconds=ended_s - started_s,
            metrics=losses or {},
        )
        self._writer.add(insert_episode(self._run().run_id, row))

    def add_evaluation(self, evaluation: Evaluation, *, seed: int) -> None:
        """Record a round of evaluation of the run seed ``seed``.

        Raises:
            VeloraError: if no run was started.
        """
        row = EvaluationRow(seed, evaluation.step, evaluation.episode, evaluation.returns)
        self._writer.add([insert_evaluation(self._run().run_id, row)])

    def add_logged(self, metrics: Mapping[str, float], *, seed: int, step: int, update: int, episode: int) -> None:
        """Record numbers that a callback logged.

        Args:
            metrics: the numbers by name.
            seed: the run seed that they belong to.
            step: environment steps taken up to now.
            update: gradient updates made up to now.
            episode: finished episodes.

        Raises:
            VeloraError: if no run was started.
        """
        run_id = self._run().run_id
        rows = (LoggedRow(seed, name, step, update, episode, value) for name, value in metrics.items())
        self._writer.add([insert_logged(run_id, row) for row in rows])

    def finish_run(self, status: str, stop_reason: str | None = None) -> None:
        """Record how the run ended: ``finished``, ``stopped``, ``interrupted`` or ``crashed``.

        Raises:
            VeloraError: if no run was started.
        """
        self._writer.add([update_run(self._run().run_id, status, stop_reason, now())])
        self.flush()

    def truncate_after(self, *, seed: int, episode: int, step: int, update: int) -> None:
        """Remove what a seed of this run did after a checkpoint: a resume starts there and does it again.

        Args:
            seed: the run seed.
            episode: the last finished episode that stays.
            step: the last environment step whose episodes, evaluations and logged numbers stay.
            update: the last gradient update whose logged numbers stay.

        Raises:
            VeloraError: if no run was started.
        """
        self._writer.add(delete_after(self._run().run_id, seed, episode, step, update))
        self.flush()

    def flush(self) -> bool:
        """Write everything that waits in one commit; return False if the database didn't take it."""
        return self._writer.flush()

    def wait_for_disk(self) -> bool:
        """Wait, in any thread, until the disk has what :meth:`flush` wrote; return False if it did not take it."""
        return self._writer.wait_for_disk()

    def missing(self, *, seed: int, episodes: int) -> int | None:
        """Count the finished episodes of a seed of this run that have no row; ``None`` if that can't be told now.

        Args:
            seed: the run seed.
            episodes: how many it has finished.

        Raises:
            VeloraError: if no run was started.
        """
        if not self.flush():
            return None
        connection = self._writer.connection
        assert connection is not None
        query = "SELECT count(*) FROM episode WHERE run_id = ? AND seed = ? AND episode <= ?"
        try:
            return episodes - int(connection.execute(query, (self._run().run_id, seed, episodes)).fetchone()[0])
        except sqlite3.Error:
            return None

    def close(self) -> None:
        """Write what waits, waiting longer than usual for a lock, and close the file. Closing twice is harmless."""
        self._writer.close()

    def _run(self) -> ExperimentRow:
        """Return the run that was started.

        Raises:
            VeloraError: if none was.
        """
        if self._row is None:
            raise VeloraError("metrics: expected start_run() before the first row, got a row")
        return self._row
