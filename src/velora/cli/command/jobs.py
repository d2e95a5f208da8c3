"""The commands that Hydra composes settings for: ``velora train``, ``velora evaluate`` and ``velora record``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from velora.cli.command.arguments import Arguments, quoted
from velora.cli.command.launch import launch
from velora.cli.settings import budget


def train(words: Sequence[str]) -> int:
    """Run ``velora train``; with ``resume=``, from a run's saved settings instead of the files."""
    arguments = budget.count_alone(Arguments.parse(words))
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


def record(words: Sequence[str]) -> int:
    """Run ``velora record``; its first word that is no setting is short for ``checkpoint.path=<word>``."""
    named = [_as_checkpoint(word) if _is_plain(word) else word for word in words]
    arguments = Arguments.parse(named).renaming("checkpoint", "checkpoint.path")
    return launch("record", "velora.cli.run.record:run_record", arguments)


def _is_plain(word: str) -> bool:
    return bool(word) and "=" not in word and word[0] not in "-+~"


def _as_checkpoint(word: str) -> str:
    return f"checkpoint.path={quoted(word)}"
