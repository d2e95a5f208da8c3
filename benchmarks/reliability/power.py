"""Cut the power at every write-side call of a save, and look at all that the disk may hold then."""

from __future__ import annotations

from benchmarks.reliability import disk, forked
from benchmarks.reliability.kills import look
from benchmarks.reliability.subject import Subject, measure, scratch, traced
from benchmarks.reliability.tally import Job
from benchmarks.reliability.trace import Call

SAVED = "saved"


def run(job: Job, subject: Subject, *, most: int | None = None) -> None:
    """Cut the power in one kind of save.

    Args:
        most: how many states, drawn at random; every one by default.
    """
    contents = measure(subject)
    with scratch() as place:
        subject.prepare(place)
        before = disk.snapshot(place)

        calls = traced(lambda: subject.save(place, 2), place)
        calls = disk.completed(before, calls, disk.snapshot(place))
    recorded = disk.Disk.of(before, [*calls, Call("mark", SAVED)])
    cases = states(job, recorded, most=80 if job.quick else most)
    for number, (at, name, tree, marks) in enumerate(job.each(list(job.mine(cases)))):
        with scratch() as place:
            disk.build(tree, place)
            case = f"{subject.name}, {subject.scenario}, power cut before call {at}, {name}"
            found, ok = look(subject, contents, place)
            if SAVED in marks and ok and not found.startswith("new"):
                job.tally.bad("said to be saved, and lost", case)
            elif not ok:
                job.tally.bad(found, case)
            elif number % 8 == 0:
                again = forked.run(lambda: (subject.save(place, 3), subject.load(place))[1])
                if again.is_fine and again.answer == contents.third:
                    job.tally.good(found)
                else:
                    job.tally.bad("the next save fails", f"{case}: {again}")
            else:
                job.tally.good(found)


Case = tuple[int, str, disk.Tree, tuple[str, ...]]


def states(job: Job, recorded: disk.Disk, *, most: int | None, mixed: int = 12) -> list[Case]:
    """List states that differ, each with the call before which the power went, and the marks passed by then.

    Args:
        most: how many, drawn at random from all; every one by default.
    """
    outcomes = [
        outcome
        for at in range(recorded.length + 1)
        for outcome in recorded.outcomes(at, job.random("states", at), mixed=mixed)
    ]
    if most is not None:
        job.random("power").shuffle(outcomes)
    cases: list[Case] = []
    seen: set[tuple[bytes, tuple[str, ...]]] = set()
    for outcome in outcomes:
        marks = tuple(text for when, text in recorded.marks if when < outcome.at)
        tree = recorded.tree(outcome)
        key = (disk.digest(tree), marks)
        if key not in seen:
            seen.add(key)
            cases.append((outcome.at, outcome.name, tree, marks))
        if most is not None and len(cases) >= most:
            break
    return cases
