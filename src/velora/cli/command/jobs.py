"""The commands that Hydra composes settings for: they train, play, film, and look at an environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from velora.cli.command.arguments import Arguments, quoted
from velora.cli.command.launch import launch
from velora.cli.command.searching import check_sweeper
from velora.cli.settings import budget
from velora.cli.sweep import description
from velora.core.errors import SettingError


def train(words: Sequence[str]) -> int:
    """Run ``velora train``: one run, or the jobs of a sweep; with ``resume=``, go on with either.

    A run goes on from its saved settings instead of the files, a sweep from the words of its command.
    """
    given = Arguments.parse(words)
    check_sweeper(given)
    arguments = budget.count_alone(given)
    run, job = arguments.text("resume"), "velora.cli.run.training:run_training"
    going_on = run is not None and description.is_sweep(Path(run))
    if going_on or (run is None and arguments.is_multirun and not arguments.only_shows):
        from velora.cli.sweep.command import sweep

        return sweep(arguments, resumed=Path(run) if run is not None else None)
    if run is None:
        return launch("train", job, arguments)
    from velora.cli.run import resume

    return launch("train", job, resume.prepare(Path(run), arguments), config_name=resume.CONFIG_NAME)


def distill(words: Sequence[str]) -> int:
    """Run ``velora distill``; a first word that is no setting is short for ``distill.teacher=``.

    With ``resume=`` it goes on with a run, as ``velora train`` does.
    """
    given = Arguments.parse(_beginning(words or ["--help"], "distill.teacher"))
    if given.is_multirun:
        raise SettingError("-m (--multirun): is for velora train; several seeds are train.seeds=5")
    arguments = budget.count_alone(given)
    if arguments.text("resume") is not None:
        return train(words)
    return launch("distill", "velora.cli.run.training:run_training", arguments)


def evaluate(words: Sequence[str]) -> int:
    """Run ``velora evaluate``; a first word that is no setting is short for ``checkpoint=``."""
    return launch("evaluate", "velora.cli.run.evaluation:run_evaluation", _of_checkpoint(words))


def record(words: Sequence[str]) -> int:
    """Run ``velora record``; a first word that is no setting is short for ``checkpoint=``."""
    return launch("record", "velora.cli.run.record:run_record", _of_checkpoint(words))


def watch(words: Sequence[str]) -> int:
    """Run ``velora watch``; a first word that is no setting is short for ``checkpoint=``; ``beside=`` may list."""
    listed = [_as_list(word, quoted) if word.startswith("beside=") else word for word in words]
    return launch("watch", "velora.cli.run.watch:run_watch", _of_checkpoint(listed))


def audit(words: Sequence[str]) -> int:
    """Run ``velora audit``; a first word that is no setting is short for ``checkpoint=``."""
    return launch("audit", "velora.cli.run.audit:run_audit", _of_checkpoint(words or ["--help"]))


def push(words: Sequence[str]) -> int:
    """Run ``velora push``; first words that are no settings are short for ``checkpoint=`` and ``repo=``."""
    first, *more = words or ["--help"]
    return launch("push", "velora.cli.run.push:run_push", _of_checkpoint([first, *_beginning(more, "repo")]))


def drive(words: Sequence[str]) -> int:
    """Run ``velora drive``; a first word that is no setting is short for ``checkpoint=``."""
    return launch("drive", "velora.cli.drive.job:run_drive", _of_checkpoint(words))


def prove(words: Sequence[str]) -> int:
    """Run ``velora prove``; a first word that is no setting is short for ``policy=``, and targets may be listed."""
    listed = [_as_list(word) if word.startswith("target=") and "," in word else word for word in words or ["--help"]]
    arguments = Arguments.parse(_beginning(listed, "policy")).renaming("checkpoint", "checkpoint.path")
    return launch("prove", "velora.cli.run.prove:run_prove", arguments)


def check_env(words: Sequence[str]) -> int:
    """Run ``velora check-env``; a first word that is no setting is short for ``env.id=``."""
    arguments = Arguments.parse(_beginning(words or ["--help"], "env.id"))
    return launch("check-env", "velora.cli.run.check_env:run_check", arguments, config_name="check_env")


def _as_list(word: str, write: Callable[[str], str] = str) -> str:
    """Write ``name=a,b`` as the list that Hydra takes it for only in brackets."""
    name, _, values = word.partition("=")
    return word if values.startswith("[") else f"{name}=[{','.join(map(write, values.split(',')))}]"


def _of_checkpoint(words: Sequence[str]) -> Arguments:
    """Read words of which ``checkpoint=<directory>`` is short for ``checkpoint.path=<directory>``.

    Hydra would take it for a choice in the group of that name.
    """
    return Arguments.parse(_beginning(words, "checkpoint.path")).renaming("checkpoint", "checkpoint.path")


def _beginning(words: Sequence[str], setting: str) -> list[str]:
    """Take a first word for the value of a setting, unless it is one; directories of a sweep have a ``=`` too."""
    first, *more = words or [""]
    is_value = bool(first) and not first.startswith("-") and ("=" not in first or Path(first).is_dir())
    return [f"{setting}={quoted(first)}" if is_value else first, *more] if first else []
