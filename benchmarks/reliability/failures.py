"""Let the system refuse a save at every call: full, broken, read-only, over quota, interrupted, in short pieces."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.reliability import forked, shim
from benchmarks.reliability.kills import look
from benchmarks.reliability.subject import Contents, Subject, measure, scratch
from benchmarks.reliability.tally import Job

CODES = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES)
SIZES = (0, 1, 8, 100, 512, 4096)


def run(job: Job, subject: Subject) -> None:
    """Let one kind of save fail everywhere."""
    contents = measure(subject)
    calls = range(len(contents.calls))
    strikes = [shim.Strike(at, "fail", code, times) for at in calls for code in CODES for times in (1, shim.FOREVER)]
    strikes += [shim.Strike(at, "shorten", calls=times) for at in calls for times in (1, shim.FOREVER)]
    syncs = sum(call.kind == "fsync" for call in contents.calls)
    strikes += [
        shim.Strike(at, "fail", code, times, ("fsync",))
        for at in range(syncs)
        for code in (errno.EIO, errno.ENOSPC, errno.EDQUOT)
        for times in (1, shim.FOREVER)
    ]
    for strike in job.each(job.some(strikes, quick=16)):
        with scratch() as place:
            subject.prepare(place)
            ending = forked.run(lambda: _save(subject, place, strike))  # noqa: B023 - run at once
            call = contents.calls[strike.at] if len(strike.kinds) > 1 else "fsync"
            case = f"{subject.name}, {subject.scenario}, {strike} ({call})"
            _judge(job, subject, contents, place, ending, case, reason=os.strerror(strike.code), strike=strike)
    if job.part == 0:
        _limits(job, subject, contents)


def _save(subject: Subject, place: Path, strike: shim.Strike) -> None:
    with shim.armed(place, strike):
        subject.save(place, 2)


def _judge(
    job: Job,
    subject: Subject,
    contents: Contents,
    place: Path,
    ending: forked.Ending,
    case: str,
    *,
    reason: str,
    strike: shim.Strike | None = None,
) -> None:
    tally = job.tally
    if ending.code < 0 or ending.hung:
        tally.bad("the process died", f"{case}: {ending}")
        return
    found, ok = look(subject, contents, place)
    saved = ending.is_fine
    if not ok:
        tally.bad(f"{'saved' if saved else 'refused'}: {found}", f"{case}: {ending}")
    elif saved and not found.startswith("new"):
        tally.bad("said to be saved, and isn't", f"{case}: {found}")
    elif not saved and not subject.is_clear(ending.answer, place, reason):
        tally.bad("an unclear error", f"{case}: {ending}")
    elif not saved and strike is not None and strike.calls == 1 and found.startswith("new"):
        tally.bad("refused, and yet replaced", case)
    else:
        again = forked.run(lambda: (subject.save(place, 3), subject.load(place))[1])
        if not again.is_fine or again.answer != contents.third:
            tally.bad("the next save fails", f"{case}: {again}")
        elif left := subject.leftovers(place):
            tally.bad("litter after the next save", f"{case}: {left[0]}")
        else:
            tally.good(f"{'saved' if saved else 'refused'}: {found}")


def _limits(job: Job, subject: Subject, contents: Contents) -> None:
    """Meet limits of the system itself, no injected error."""
    for size in SIZES:
        with scratch() as place:
            subject.prepare(place)
            ending = forked.run(lambda: _save_limited(subject, place, size))  # noqa: B023 - run at once
            case = f"{subject.name}, {subject.scenario}, files of at most {size} bytes"
            _judge(job, subject, contents, place, ending, case, reason=os.strerror(errno.EFBIG))
    for kib in (64, 68, 72, 80, 96, 128):
        with _tmpfs(kib) as disk:
            if disk is None:
                if (note := "no tmpfs can be mounted here: a full one was not tried") not in job.tally.notes:
                    job.tally.notes.append(note)
                return
            _fill_up(job, subject, contents, disk, kib)


def _save_limited(subject: Subject, place: Path, size: int) -> None:
    """Save under a limit of the system, which is lifted again so that the answer can be written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        subject.save(place, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _fill_up(job: Job, subject: Subject, contents: Contents, disk: Path, kib: int) -> None:
    """Save with less and less space left, until it fails; the space comes back afterwards."""
    place = disk / "here"
    ballast = disk / "ballast"
    try:
        subject.prepare(place)
    except Exception:  # noqa: BLE001 - peers raise whatever they like
        return  # too small even for what is to be there before
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    keep = job.random("tmpfs", kib).randrange(0, 12_000)
    ballast.write_bytes(bytes(max(0, free - keep)))
    ending = forked.run(lambda: subject.save(place, 2))
    ballast.unlink()
    case = f"{subject.name}, {subject.scenario}, a tmpfs with {keep} bytes left"
    _judge(job, subject, contents, place, ending, case, reason=os.strerror(errno.ENOSPC))


@contextmanager
def _tmpfs(kib: int) -> Iterator[Path | None]:
    """Mount a small filesystem in memory, where that is allowed."""
    with scratch(real=True) as place:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={8 * kib}k", "tmpfs", str(place)], capture_output=True, check=False
        )
        if made.returncode:
            yield None
            return
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=False)
