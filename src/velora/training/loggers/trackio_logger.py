"""A logger of Lightning's shape for Trackio."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger


class TrackioLogger(Logger):
    """Run of Trackio.

    Args:
        project: of Trackio.
        name: of the run; one that is there already goes on.
        group: of runs, such as a sweep.
        kwargs: further keywords of ``trackio.init``, such as ``space_id`` or ``server_url``.
    """

    def __init__(self, project: str = "velora", name: str | None = None, group: str | None = None, **kwargs: Any):
        super().__init__()
        self._project, self._name, self._group = project, name, group
        self._kwargs = {"resume": "allow", **kwargs}
        self._run: Any = None

    @property
    def experiment(self) -> Any:
        """The run, opened when it is first needed."""
        if self._run is None:
            import trackio

            self._run = trackio.init(self._project, self._name, self._group, **self._kwargs)
        return self._run

    @property
    def name(self) -> str:
        """The project."""
        return self._project

    @property
    def version(self) -> str | None:
        """The name of the run."""
        return self._name

    def log_hyperparams(self, params: Mapping[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Add settings to those of the run; Trackio takes them over with the first numbers."""
        self.experiment.config.update(vars(params) if isinstance(params, Namespace) else params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add numbers to the run."""
        self.experiment.log(dict(metrics), step=step)

    def finalize(self, status: str) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()
