"""Several runs: those that fit a question, in an order, as rows of a table, with the settings in which they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from velora.analysis import selection
from velora.analysis.columns import COLUMNS
from velora.analysis.rows import Rows
from velora.analysis.run import Run

_ENV = "env."
_DEFAULT = "default"


class Runs(list[Run]):
    """List of runs.

    Example:
        >>> Runs().where("env=hopper return>-200").rows()
        []
    """

    def __repr__(self) -> str:
        """Write a line for each run, as a prompt and a notebook show them."""
        from velora.analysis.table import as_lines  # which needs as_text of this module

        rows = self.rows()
        return "\n".join(as_lines(rows, rows.columns())) if rows else "no runs"

    def where(self, condition: str) -> Runs:
        """Return the runs that fit a condition.

        Args:
            condition: words such as ``env=hopper``, ``status=finished,dead`` (one of them), ``agent=*td3``,
                ``return>-200``, ``agent.n_neurons!=20``; all must hold. Names are those of columns
                (:data:`velora.analysis.columns.COLUMNS`) and of settings, whose last part is enough where it is
                the only one. An environment goes by its id or by its plain name.

        Raises:
            SettingError: if a word can't be read, or names nothing that the runs have.
        """
        tests = selection.parse(condition, self.setting_names())
        return Runs(run for run in self if all(test(run) for test in tests))

    def sort(self, order: str) -> Runs:  # type: ignore[override]  # of a list by words
        """Return the runs in another order, those without a value last.

        Args:
            order: columns or settings with commas between them; ``-`` before one begins with the largest.

        Raises:
            SettingError: if one names nothing that the runs have.
        """
        ordered = list(self)
        for name in reversed([word for word in order.split(",") if word.strip()]):
            ordered = selection.ordered(ordered, name.strip(), self.setting_names())
        return Runs(ordered)

    def setting_names(self) -> list[str]:
        """List the settings that any of the runs has, in order of the alphabet."""
        return sorted({name for run in self for name in run.settings})

    def differing(self) -> list[str]:
        """List the settings in which runs of one agent in one environment differ."""
        tasks: dict[tuple[str, str], Runs] = {}
        for run in self:
            tasks.setdefault((run.agent, run.environment), Runs()).append(run)
        names: set[str] = set()
        for alike in tasks.values():
            known = [alike.settings(run) for run in alike if run.settings]
            for name in {name for own in known for name in own}:
                if len({as_text(own[name]) for own in known if name in own}) > 1:
                    names.add(name)
        return sorted(names)

    def settings(self, run: Run) -> Mapping[str, Any]:
        """Return the settings of one of the runs, with ``default`` for the environment's that only others set."""
        if "train.batch_size" not in run.settings:  # of Python: what its environment was made with is unknown
            return run.settings
        keywords = {name for other in self for name in other.settings if name.startswith(_ENV)}
        return {**dict.fromkeys(keywords, _DEFAULT), **run.settings}

    # ---- rows ----------------------------------------------------------------------------------------------------

    def rows(self) -> Rows:
        """Make a row of each run: the columns of :data:`COLUMNS`, and the settings in which the runs differ."""
        names = self.differing()
        rows = Rows()
        for run in self:
            own = self.settings(run)
            fixed = {name: column.value(run) for name, column in COLUMNS.items()}
            rows.append({**fixed, **{name: own.get(name) for name in names}})
        return rows

    def episodes(self) -> Rows:
        """Read the episodes of all runs, each row with its ``run``, ``agent``, ``env`` and the differing settings."""
        return self._gather(Run.episodes)

    def evaluations(self) -> Rows:
        """Read the evaluations of all runs likewise."""
        return self._gather(Run.evaluations)

    def losses(self) -> Rows:
        """Read the losses of all runs likewise."""
        return self._gather(Run.losses)

    def logged(self, name: str | None = None) -> Rows:
        """Read what callbacks logged in all runs likewise."""
        return self._gather(lambda run: run.logged(name))

    def metric(self, name: str) -> Rows:
        """Read one number along the training of all runs likewise; see :meth:`Run.metric`.

        Raises:
            SettingError: if a run hasn't recorded it.
        """
        return self._gather(lambda run: run.metric(name))

    def _gather(self, read: Callable[[Run], Iterable[dict[str, Any]]]) -> Rows:
        names = self.differing()
        rows = Rows()
        for run in self:
            if not run.run_id:  # it never began
                continue
            own = self.settings(run)
            about = {"run": COLUMNS["run"].value(run), "agent": run.agent, "env": run.environment}
            about |= {name: own.get(name) for name in names}
            rows.extend({**about, **row} for row in read(run))
        return rows


def as_text(value: Any) -> str:
    """Write the value of a setting as on the command line.

    Example:
        >>> as_text(None), as_text(0.001), as_text("cfc"), as_text([20, 40])
        ('null', '0.001', 'cfc', '[20, 40]')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)
