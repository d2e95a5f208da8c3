"""What a run of the command line leaves when it ends: its result, or its failure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from velora.analysis import outcome
from velora.cli.command.mistakes import is_mistake, one_line
from velora.cli.run import report
from velora.cli.settings import budget
from velora.core.errors import RunDirectoryError
from velora.core.types import Evaluation
from velora.training.result import TrainResult

log = logging.getLogger(__name__)


def keep_result(cfg: DictConfig, run_dir: Path, result: TrainResult, seeds: Sequence[int]) -> float:
    """Write ``result.json``, and return the objective in it: the mean return over seeds.

    Raises:
        RunDirectoryError: if it can't be written; everything else of the run is safe then.
    """
    found = {evaluation.seed_index: evaluation for evaluation in report.final_evaluations(result)}
    objective = float(np.mean([evaluation.mean for evaluation in found.values()]))
    rows = tuple(_seed_result(result, k, seed, found.get(k)) for k, seed in enumerate(seeds))
    try:
        outcome.write_result(run_dir, outcome.Result(result.status, objective, budget.asked(cfg), rows))
    except OSError as error:
        raise RunDirectoryError(
            f"{run_dir}: its result can't be written ({error.strerror}); the run itself is saved, so make room and "
            "repeat the command"
        ) from error
    return objective


def _seed_result(result: TrainResult, k: int, seed: int, found: Evaluation | None) -> outcome.SeedResult:
    reason = result.stop_reasons[k] if result.stop_reasons else None
    if found is None or k in result.lost:
        return outcome.SeedResult(seed, None, None, None, reason)
    return outcome.SeedResult(seed, found.mean, found.episode, found.step, reason)


def keep_failure(run_dir: Path, error: Exception) -> None:
    """Write ``failure.json``; where even that is refused, as by a full disk, the error itself has to do."""
    try:
        failure = outcome.Failure(type(error).__name__, one_line(error), is_mistake(error))
        outcome.write_failure(run_dir, failure)
    except OSError as refused:
        log.warning("%s: what failed can't be noted there (%s)", run_dir, refused.strerror)
