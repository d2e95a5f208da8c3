"""The commands that Hydra runs. What trains is imported late: torch takes seconds, a misspelt setting none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from velora.cli.command.arguments import Arguments
from velora.cli.command.launch import launch
from velora.cli.run import resume
from velora.cli.settings import budget


def train(words: Sequence[str]) -> int:
    """Run ``velora train``; with ``resume=``, from a run's saved settings instead of the files."""
    arguments = budget.count_alone(Arguments.parse(words))
    run = arguments.text("resume")
    if run is None:
        return launch("train", _training, arguments)
    return launch("train", _training, resume.prepare(Path(run), arguments), config_name=resume.CONFIG_NAME)


def evaluate(words: Sequence[str]) -> int:
    """Run ``velora evaluate``.

    ``checkpoint=<directory>`` is short for ``checkpoint.path=<directory>``: Hydra would take it for a choice in the
    group of that name.
    """
    return launch("evaluate", _evaluation, Arguments.parse(words).renaming("checkpoint", "checkpoint.path"))


def _training(cfg: DictConfig, run_dir: Path) -> float:
    from velora.cli.run.training import run_training

    return run_training(cfg, run_dir)


def _evaluation(cfg: DictConfig, run_dir: Path) -> float:
    from velora.cli.run.evaluation import run_evaluation

    return run_evaluation(cfg, run_dir)
