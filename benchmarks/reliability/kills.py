"""SIGKILL at every write-side call of a save: before it, half-way through it, after it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reliability import forked, shim
from benchmarks.reliability.subject import Contents, Subject, measure, scratch
from benchmarks.reliability.tally import Job


def run(job: Job, subject: Subject) -> None:
    """Kill one kind of save everywhere."""
    contents = measure(subject)
    strikes = [
        shim.Strike(at, action)
        for at, call in enumerate(contents.calls)
        for action in shim.KILLS
        if action != "half" or call.kind == "write"
    ]
    for strike in job.each(job.some(strikes, quick=12)):
        with scratch() as place:
            subject.prepare(place)
            ending = forked.run(lambda: _save(subject, place, strike))  # noqa: B023 - run at once
            case = f"{subject.name}, {subject.scenario}, {strike} ({contents.calls[strike.at]})"
            if not ending.is_killed:
                job.tally.bad("the process was not killed", f"{case}: {ending}")
                continue
            judge(job, subject, contents, place, case)


def _save(subject: Subject, place: Path, strike: shim.Strike) -> None:
    with shim.armed(place, strike):
        subject.save(place, 2)


def judge(job: Job, subject: Subject, contents: Contents, place: Path, case: str) -> None:
    """Count what a reader finds, and whether the same place can be saved to again."""
    found, ok = look(subject, contents, place)
    if not ok:
        job.tally.bad(found, case)
        return
    ending = forked.run(lambda: (subject.save(place, 3), subject.load(place))[1])
    if not ending.is_fine or ending.answer != contents.third:
        job.tally.bad("the next save fails", f"{case}: {ending}")
    elif left := subject.leftovers(place):
        job.tally.bad("litter after the next save", f"{case}: {left[0]}")
    else:
        job.tally.good(found)


def look(subject: Subject, contents: Contents, place: Path) -> tuple[str, bool]:
    """Load, in a child (a damaged file may kill its reader), and say what is there and whether that may be."""
    ending = forked.run(lambda: subject.load(place))
    if ending.is_fine:
        if ending.answer == contents.new:
            return "new, whole", True
        if ending.answer == contents.old:
            return "old, whole", True
        return "loaded, and is neither the old nor the new", False
    if ending.code < 0 or ending.hung:
        return f"the reader died ({ending.code})", False
    if subject.is_fresh and ending.answer and ending.answer[0] in ("FileNotFoundError", "MissingCheckpointError"):
        return "nothing yet, said so", True
    if subject.is_fresh:
        return "a part, which doesn't load", False
    return "neither the old nor the new loads", False
