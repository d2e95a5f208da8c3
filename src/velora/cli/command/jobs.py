"""The commands that Hydra composes settings for: ``velora train`` and ``velora evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from velora.cli.command.arguments import Arguments
from velora.cli.command.launch import launch
from velora.cli.command.searching import check_sweeper
from velora.cli.settings import budget


def train(words: Sequence[str]) -> int:
    """Run ``velora train``; with ``resume=``, from a run's saved settings instead of the files."""
    given = Arguments.parse(words)
    check_sweeper(given)
    arguments = budget.count_alone(given)
    run, job = arguments.text("resume"), "velora.cli.run.training:run_training"
    if run is None:
        return launch("train", job, arguments)
    from velora.cli.run import resume

    return launch("train", job, resume.prepare(Path(run), arguments), config_name=resume.CONFIG_NAME)


def evaluate(words: Sequence[str]) -> int:
    """Run ``velora evaluate``.

    ``checkpoint=<directory>`` is short for ``checkpoint.path=<directory>``: Hydra would take it for a choice in the
    group of that name.
    """
    arguments = Arguments.parse(words).renaming("checkpoint", "checkpoint.path")
    return launch("evaluate", "velora.cli.run.evaluation:run_evaluation", arguments)
