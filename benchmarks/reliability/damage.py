"""Damage the files of a checkpoint as disks, copies and people do: nothing damaged may load as if it were whole."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.reliability import forked
from benchmarks.reliability.subject import Subject, scratch
from benchmarks.reliability.tally import Job


class Victim:
    """A saved checkpoint whose files are damaged one after another, and put right again."""

    def __init__(self, job: Job, subject: Subject, place: Path) -> None:
        self.job, self.subject, self.place = job, subject, place
        subject.prepare(place)
        self.whole = subject.load(place)
        self.files = subject.parts(place)
        self.originals = {path: path.read_bytes() for path in self.files}

    def judge(self, path: Path, case: str) -> None:
        """Load, and count what comes of it."""
        if self.subject.is_fragile:
            self.judge_apart(path, case)
            for own, raw in self.originals.items():
                if own != path and (not own.is_file() or own.read_bytes() != raw):
                    own.write_bytes(raw)
            return
        try:
            found = self.subject.load(self.place)
        except Exception as error:  # noqa: BLE001 - peers raise whatever they like
            self._refused(path, case, type(error).__name__, str(error))
        else:
            self._loaded(path, case, found)

    def judge_apart(self, path: Path, case: str) -> None:
        """Load in a child, which may hang, be killed or eat memory."""
        ending = forked.run(lambda: self.subject.load(self.place), limit_s=5, memory_mib=2048)
        if ending.is_fine:
            self._loaded(path, case, ending.answer)
        elif ending.code == forked.RAISED and ending.answer[0] != "MemoryError":
            self._refused(path, case, *ending.answer)
        else:
            self.job.tally.bad("the reader hung" if ending.hung else "the reader died", f"{case}: {ending}")

    def _refused(self, path: Path, case: str, kind: str, text: str) -> None:
        name = path.relative_to(self.place)
        if self.subject.names_file((kind, text), path):
            self.job.tally.good("refused")
        else:
            self.job.tally.bad("refused, the file not named", f"{name}, {case}: {kind}: {text}")

    def _loaded(self, path: Path, case: str, found: str) -> None:
        tally, name = self.job.tally, path.relative_to(self.place)
        if found != self.whole:
            tally.bad("loaded, and silently different", f"{name}, {case}")
        elif self.subject.refuses_all:
            tally.bad("loaded, though damaged", f"{name}, {case}")
        else:
            tally.good("loaded, and no different")

    def restore(self, path: Path) -> None:
        """Put a file right."""
        if path.is_symlink() or path.is_file() or path.exists():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        path.write_bytes(self.originals[path])


def flip_bits(job: Job, subject: Subject, *, most: int | None = None) -> None:
    """Flip every bit of every file, one at a time.

    Args:
        most: how many, drawn at random; every one by default.
    """
    with scratch() as place:
        victim = Victim(job, subject, place)
        bits = [(p, i) for p in victim.files for i in range(8 * len(victim.originals[p]))]
        if most is not None and most < len(bits):
            bits = sorted(job.random("bits").sample(bits, most))
        for path, bit in job.each(job.some(bits, quick=1_500)):
            byte = victim.originals[path][bit // 8]
            with path.open("r+b", buffering=0) as file:
                file.seek(bit // 8)
                file.write(bytes([byte ^ (1 << bit % 8)]))
                victim.judge(path, f"bit {bit % 8} of byte {bit // 8}")
                file.seek(bit // 8)
                file.write(bytes([byte]))
        assert subject.load(place) == victim.whole


def break_files(job: Job, subject: Subject, *, most: int | None = None) -> None:
    """Cut, lengthen, zero, repeat, exchange, link, double and remove files."""
    with scratch() as place, scratch() as elsewhere:
        victim = Victim(job, subject, place)
        other = elsewhere / "other"
        other.mkdir()
        subject.save(other, 2)
        donors = {p.relative_to(other): p.read_bytes() for p in subject.parts(other)}
        cases = [(p, name, new) for p in victim.files for name, new in _rewritten(victim.originals[p], donors)]
        if most is not None and most < len(cases):
            cases = [cases[i] for i in sorted(job.random("files").sample(range(len(cases)), most))]
        for path, name, new in job.each(job.some(cases, quick=800)):
            raw = new()
            if raw == victim.originals[path]:
                continue
            path.write_bytes(raw)
            victim.judge(path, name)
            victim.restore(path)
        if job.part == 0:
            for path, (name, replace) in itertools.product(victim.files, REPLACEMENTS.items()):
                replace(path, elsewhere)
                victim.judge_apart(path, name)
                victim.restore(path)
        assert subject.load(place) == victim.whole


def _rewritten(raw: bytes, donors: dict[Path, bytes]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for length in range(len(raw)):
        yield f"cut to {length} bytes", lambda length=length: raw[:length]  # type: ignore[misc]
    for more in (*range(1, 65), *range(128, 4097, 64)):
        yield f"{more} bytes of zeros more", lambda more=more: raw + bytes(more)  # type: ignore[misc]
        yield f"{more} bytes repeated at the end", lambda more=more: raw + raw[:more]  # type: ignore[misc]
    for size in (1, 8, 64, 512, 4096):
        for start in range(0, len(raw), max(size // 2, 5)):
            yield f"{size} zeros at {start}", lambda a=start, n=size: _zeroed(raw, a, n)  # type: ignore[misc]
            yield f"{size} bytes at {start} gone", lambda a=start, n=size: raw[:a] + raw[a + n :]  # type: ignore[misc]
            yield f"{size} bytes at {start} twice", lambda a=start, n=size: raw[: a + n] + raw[a:]  # type: ignore[misc]
            yield (
                f"{size} bytes at {start} exchanged with the next",
                lambda a=start, n=size: raw[:a] + raw[a + n : a + 2 * n] + raw[a : a + n] + raw[a + 2 * n :],  # type: ignore[misc]
            )
    for tail in range(1, 100):
        yield f"the last {tail} % zero", lambda tail=tail: _zeroed(raw, len(raw) * (100 - tail) // 100, len(raw))  # type: ignore[misc]
    for name, donor in donors.items():
        yield f"the content of {name} of another checkpoint", lambda donor=donor: donor  # type: ignore[misc]
        yield f"half of {name} of another", lambda d=donor: raw[: len(raw) // 2] + d[len(raw) // 2 :]  # type: ignore[misc]


def _zeroed(raw: bytes, start: int, size: int) -> bytes:
    end = min(len(raw), start + size)
    return raw[:start] + bytes(end - start) + raw[end:]


def _link(path: Path, elsewhere: Path) -> None:
    target = elsewhere / f"real-{path.name}"
    target.unlink(missing_ok=True)
    shutil.move(path, target)
    path.symlink_to(target)


def _to_nowhere(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to(elsewhere / "nothing")


def _to_device(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _directory(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, elsewhere: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _unreadable(path: Path, elsewhere: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")


REPLACEMENTS: dict[str, Callable[[Path, Path], None]] = {
    "gone": lambda path, elsewhere: path.unlink(),
    "a link to its content elsewhere": _link,
    "a link to nothing": _to_nowhere,
    "a link to a device": _to_device,
    "a directory": _directory,
    "a pipe": _pipe,
    "a link to the reader's memory": _unreadable,
}
