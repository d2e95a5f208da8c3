"""What is saved and loaded in a trial: by Velora, or by a peer."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability import forked, shim, trace


class Subject(ABC):
    """One way to save and load, with two versions of what is saved: 1 is there before a fault, 2 is being saved.

    A peer's modules subclass this too, so it knows nothing of Velora.
    """

    name: str
    """Who saves, such as ``"torch.save"``."""
    scenario: str = "over the old one"
    """How it is saved."""
    is_fresh: bool = False
    """Nothing is there before, so that a reader may find nothing."""
    refuses_all: bool = False
    """It promises to refuse every damage, even one that changes nothing of what is loaded."""
    is_fragile: bool = False
    """A damaged file may kill its reader, or be written to by it: each is read in a child, and all put right after."""

    @abstractmethod
    def save(self, place: Path, version: int) -> None:
        """Save a version below ``place``, a directory."""

    @abstractmethod
    def load(self, place: Path) -> str:
        """Load what a user would, and return a digest of it; raise whatever the library raises."""

    def prepare(self, place: Path) -> None:
        """Make what is there before the save."""
        place.mkdir(parents=True, exist_ok=True)
        if not self.is_fresh:
            self.save(place, 1)

    def parts(self, place: Path) -> list[Path]:
        """List the files of what was saved, that a load reads."""
        return sorted(path for path in place.rglob("*") if path.is_file())

    def leftovers(self, place: Path) -> list[str]:
        """Name what a save should have cleared away."""
        return []

    def is_clear(self, error: tuple[str, str], place: Path, reason: str) -> bool:
        """Return whether an error (its type's name, and its text) tells the user which file, and the system's words.

        Of peers only what is there afterwards is judged.
        """
        return True

    def names_file(self, error: tuple[str, str], path: Path) -> bool:
        """Return whether an error tells the user which file is damaged."""
        return True


@dataclass(frozen=True)
class Contents:
    """Digests of the versions of a subject, and its write-side calls, taken from saves that nothing disturbs."""

    old: str | None
    new: str
    third: str
    calls: tuple[trace.Call, ...]


def measure(subject: Subject) -> Contents:
    """Save without a fault and see what is there, and which calls that takes."""
    with scratch() as place:
        subject.prepare(place)
        old = None if subject.is_fresh else subject.load(place)
        calls = traced(lambda: subject.save(place, 2), place)
        new = subject.load(place)
        subject.save(place, 3)
        third = subject.load(place)
    if len({old, new, third}) != 3:
        raise AssertionError(f"{subject.name}, {subject.scenario}: versions that load as one another prove nothing")
    return Contents(old, new, third, tuple(calls))


def traced(work: Callable[[], object], below: Path) -> list[trace.Call]:
    """Do something in a child and return its write-side calls."""
    with tempfile.TemporaryFile() as file:

        def traced_work() -> None:
            with shim.armed(below, shim.Strike(), trace=file.fileno()):
                work()

        ending = forked.run(traced_work)
        if not ending.is_fine:
            raise AssertionError(f"what is to be disturbed fails by itself: {ending}\n{ending.text}")
        file.seek(0)
        return trace.read(file.read(), below)


@contextmanager
def scratch(*, real: bool = False) -> Iterator[Path]:
    """Make a directory for a trial, and remove it.

    Args:
        real: on the filesystem of temporary files, not in memory, where ``fsync`` costs nothing. SIGKILL doesn't lose
            what a filesystem has accepted.
    """
    memory = Path("/dev/shm")
    directory = Path(
        tempfile.mkdtemp(prefix="velora-reliability-", dir=None if real or not memory.is_dir() else memory)
    )
    try:
        yield directory.resolve()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
