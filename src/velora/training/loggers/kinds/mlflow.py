"""MLflow, on a server or in a database file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock

from velora.training.loggers import reach
from velora.training.loggers.facts import Facts, Row
from velora.training.loggers.kinds.base import NamedKind
from velora.training.loggers.kinds.variables import Variables

RUN_TAG, SWEEP_TAG = "velora.run_id", "velora.sweep"
_MOST_METRICS = 1000
"""In one request, which is MLflow's limit."""


class MLflow(NamedKind):
    """A run of MLflow for each run of ours, found again by a tag, for MLflow chooses the ids of its runs itself."""

    name: ClassVar[str] = "mlflow"
    target: ClassVar[str] = "lightning.pytorch.loggers:MLFlowLogger"
    needs: ClassVar[tuple[str, ...]] = ("mlflow",)
    in_background: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        # By default a request to a server that is gone is tried for minutes; here the whole request is tried again.
        self._limits = Variables({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"})

    def keywords(self, facts: Facts, given: dict[str, Any]) -> dict[str, Any]:
        """Choose server or database, and mark the run as ours."""
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
        sweep = {} if facts.group is None else {SWEEP_TAG: facts.group}
        return {
            "experiment_name": os.environ.get("MLFLOW_EXPERIMENT_NAME", "velora"),
            "tracking_uri": place,
            "run_name": facts.name,
            **given,
            "tags": {RUN_TAG: facts.run_id, **sweep, **given.get("tags", {})},
        }

    def prepare(self, keywords: dict[str, Any], facts: Facts) -> dict[str, Any]:
        """Look for the server, make the experiment, and find the run that goes on."""
        uri = keywords["tracking_uri"]
        if re.match(r"https?://", uri):
            reach.check_answers(f"{uri.rstrip('/')}/health")
        self._limits.hold()
        from mlflow import MlflowClient

        with _alone(uri):
            client = MlflowClient(uri)  # makes a database that is new
            experiment = _find_or_make(client, keywords["experiment_name"], keywords.get("artifact_location"))
        if not facts.is_resumed or "run_id" in keywords:
            return keywords
        found = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{facts.run_id}'", max_results=1)
        if not found:
            return keywords
        run_id = found[0].info.run_id
        client.update_run(run_id, status="RUNNING")
        return {**keywords, "run_id": run_id}

    def remedy(self, keywords: Mapping[str, Any]) -> str:
        """Say how to start a server, or do without one."""
        return (
            "start it, give the address of another as logger.mlflow.tracking_uri or MLFLOW_TRACKING_URI, or write to "
            "a file: sqlite:///mlflow.db"
        )

    def begin(self, logger: Any, facts: Facts) -> None:
        """Open the run. Lightning makes its address that of the whole process, which is taken back."""
        import mlflow

        before = os.environ.get("MLFLOW_TRACKING_URI")
        _ = logger.experiment
        mlflow.set_tracking_uri(before)  # None is none

    def rows(self, logger: Any, rows: Sequence[Row]) -> None:
        """Send many rows at once: a request takes milliseconds."""
        from mlflow.entities import Metric

        prefix = f"{logger._prefix}-" if logger._prefix else ""
        metrics = [
            Metric(re.sub(r"[^\w/. -]", "", prefix + name, flags=re.ASCII), value, round(1000 * row.time_s), row.step)
            for row in rows
            for name, value in row.metrics.items()
        ]
        for first in range(0, len(metrics), _MOST_METRICS):
            logger.experiment.log_batch(logger.run_id, metrics=metrics[first : first + _MOST_METRICS])

    def video(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Keep it as an artifact."""
        logger.experiment.log_artifact(logger.run_id, str(path), f"{name}/step{step}")

    def image(self, logger: Any, name: str, path: Path, step: int) -> None:
        """Show it, step by step."""
        from PIL import Image

        with Image.open(path) as image:
            logger.experiment.log_image(logger.run_id, image.convert("RGB"), key=name, step=step)

    def checkpoint(self, logger: Any, name: str, directory: Path) -> None:
        """Keep it as an artifact."""
        logger.experiment.log_artifacts(logger.run_id, str(directory), f"checkpoints/{name}")

    def end(self, logger: Any, *, status: str, is_ours: bool) -> None:
        """End the run, as killed if a signal did."""
        logger.finalize("KILLED" if status == "interrupted" else status)

    def release(self) -> None:
        """Take the limits of requests back."""
        self._limits.release()

    def may_pass(self, error: Exception) -> bool:
        """Count a server that is too busy, or behind a gate that doesn't find it, among those that don't answer."""
        return super().may_pass(error) or re.search(r"error code (429|50[234])\b", str(error)) is not None


def _alone(uri: str) -> contextlib.AbstractContextManager[object]:
    """Keep other processes from making the same database file at the same time, which MLflow can't bear."""
    if not uri.startswith("sqlite:///"):
        return contextlib.nullcontext()
    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _find_or_make(client: Any, name: str, location: str | None) -> str:
    """Return the id of an experiment; of two that make it at once on a server, one finds it then."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "deleted":
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None or found.lifecycle_stage == "deleted":
                raise
    return str(found.experiment_id)
