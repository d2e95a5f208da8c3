"""``velora train -m``, and ``velora train resume=<sweep>``: plan the jobs, have them run, and say how they ended."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from velora.analysis import outcome
from velora.cli.command import compose, launch
from velora.cli.command.arguments import Arguments
from velora.cli.run import trust
from velora.cli.sweep import cluster, description, ending, fit, launchers, plan
from velora.cli.sweep.processes import Stopped
from velora.core.errors import SettingError
from velora.core.terminal import say

JOB: Final = "velora.cli.sweep.job:run_job"
SINGLE_RUN: Final = "velora.cli.run.training:run_training"
INTERRUPTED: Final = 130


def sweep(arguments: Arguments, *, resumed: Path | None = None) -> int:
    """Run the jobs that a command line asks for, or what isn't done of them, and list how they stand.

    Args:
        arguments: the command line.
        resumed: the directory of a sweep whose words it has, if it is gone on with; code from outside Velora and places
            outside of the sweep count only if the words given now name them.

    Returns:
        The exit code: 0 if every job is done, 2 if jobs failed by mistakes of the user's alone, 1 for anything else.

    Raises:
        VeloraError: if the jobs can't be made, or aren't those of the sweep in the directory.
        KeyboardInterrupt: after Ctrl+C.
    """
    given = arguments
    if resumed is not None:
        arguments = description.going_on(resumed, arguments)
    arguments = launchers.named(arguments)
    planned = _planned(arguments)
    if planned is None:
        return launch.launch("train", SINGLE_RUN, arguments)
    foreign = _foreign(planned)
    if resumed is not None:
        _refuse_foreign(planned.directory, foreign, given)
    described = description.describe(arguments, planned)
    description.check_same(planned.directory, described)
    cluster.prepare(planned.hydra)
    for one in planned.jobs:
        fit.fitted(one.settings, planned.directory / one.name)
    words = launchers.chosen(plan.completed(arguments, planned), planned)
    description.save(planned.directory, described)
    say(f"sweep  {planned.directory}  ({_counted(planned)})\n")
    going_on = description.command(planned.directory, given, (f"{name}={value}" for name, value in foreign.items()))
    try:
        code = launch.launch("train", JOB, words, conclude=lambda: ending.conclude(planned, going_on))
    except KeyboardInterrupt as stop:
        ending.conclude(planned, going_on)
        if isinstance(stop, Stopped) and stop.number != signal.SIGINT:
            signal.raise_signal(stop.number)
        raise KeyboardInterrupt("interrupted") from stop
    return code


def _planned(arguments: Arguments) -> plan.Plan | None:
    try:
        with compose.composing():
            return plan.make(arguments)
    except (HydraException, OmegaConfBaseException) as error:
        mistake = launchers.missing(arguments) or compose.find_mistake_in("train", arguments)
        if mistake is None:
            raise
        raise SettingError(mistake) from error


def _foreign(planned: plan.Plan) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in planned.jobs:
        run_dir = planned.directory / one.name
        found |= {**dict(trust.foreign_code(one.settings)), **dict(trust.foreign_places(one.settings, run_dir))}
    return found


def _refuse_foreign(directory: Path, foreign: dict[str, str], given: Arguments) -> None:
    named = {override.key_or_group for override in given.parsed()}
    unnamed = next((name for name in foreign if name not in named), None)
    if unnamed is not None:
        raise SettingError(
            f"{unnamed}: {directory / description.FILE} names code from outside Velora, or a place outside of the run; "
            f"if you trust it, add {unnamed}={foreign[unnamed]} to the command line"
        )


def _counted(planned: plan.Plan) -> str:
    jobs = planned.jobs
    done = sum(fit.is_done(outcome.read(planned.directory / one.name), one.settings) for one in jobs)
    return f"{len(jobs)} job{'s' if len(jobs) > 1 else ''}" + (f", {done} done already" if done else "")
