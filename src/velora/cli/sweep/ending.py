"""The table at the end of a sweep, and its exit code: read from the directories of the jobs, under every launcher."""

from __future__ import annotations

import shlex
from typing import Final

from velora.analysis import outcome
from velora.analysis.outcome import Outcome, Status
from velora.analysis.status import STATUSES
from velora.cli.runs.sweep_table import save_table, sweep_table, table_lines
from velora.cli.sweep import fit
from velora.cli.sweep.plan import Job, Plan
from velora.core.errors import RunDirectoryError
from velora.core.terminal import complain, say

OK, CRASH, BAD_INPUT = 0, 1, 2
_MOST_LISTED: Final = 20


def conclude(plan: Plan, going_on: str) -> int:
    """Print the table over seeds and save it, say what comes next, what failed and how to go on; return the exit code.

    Args:
        plan: the sweep.
        going_on: the command that goes on with it.
    """
    jobs = [(job, _read(plan, job)) for job in plan.jobs]
    ended = [(job, found) for job, found in jobs if found.status is Status.FINISHED]
    shorter = {plan.directory / job.name for job, found in ended if not fit.is_done(found, job.settings)}
    rows = sweep_table({plan.directory / job.name: job.words for job in plan.jobs}, shorter=shorter)
    if rows:
        saved = save_table(plan.directory, rows)
        say("\n".join([*table_lines(rows), *([] if saved is None else [f"table  {saved}"])]) + "\n")
    if ended:
        say(f"compare  velora compare {shlex.quote(str(plan.directory))} out=report.html\n")
    return _complain(plan, jobs, going_on)


def _read(plan: Plan, job: Job) -> Outcome:
    try:
        return outcome.read(plan.directory / job.name)
    except RunDirectoryError as error:
        return Outcome(Status.FAILED, failure=outcome.Failure(type(error).__name__, str(error), is_mistake=True))


def _complain(plan: Plan, jobs: list[tuple[Job, Outcome]], going_on: str) -> int:
    """Say which jobs aren't done, and why, in the last lines; return the exit code."""
    left = [(job, found) for job, found in jobs if not fit.is_done(found, job.settings)]
    if not left:
        return OK
    for job, found in left[:_MOST_LISTED]:
        complain(f"velora train: {plan.directory / job.name}: {_why(found)}\n")
    if len(left) > _MOST_LISTED:
        complain(f"velora train: and {len(left) - _MOST_LISTED} more\n")
    failed = [found.failure for _, found in left if found.failure is not None]
    retry = " retry=failed" if failed else ""
    counted = [f"{len(failed)} of {len(jobs)} jobs failed"] if failed else []
    counted += [f"{len(left) - len(failed)} of {len(jobs)} jobs are not done"] if len(left) > len(failed) else []
    complain(f"velora train: {', '.join(counted)}; go on with: {going_on}{retry}\n")
    is_mistake = len(failed) == len(left) and all(failure.is_mistake for failure in failed)
    return BAD_INPUT if is_mistake else CRASH


def _why(found: Outcome) -> str:
    if found.failure is not None:
        where = "" if found.failure.is_mistake else " (the traceback is in its train.log)"
        return f"failed: {found.failure.line}{where}"
    if found.result is not None:
        had = ", ".join(f"train.{name}={most}" for name, most in found.result.budget.items() if most is not None)
        return f"finished with a smaller budget ({had})"
    return f"{found.status}: {STATUSES[found.status]}"
