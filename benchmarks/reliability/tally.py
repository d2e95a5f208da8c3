"""Count trials, and keep the first cases that failed; print progress for the process that started this one."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")
KEPT_CASES: Final = 40
_EVERY_S: Final = 0.5


@dataclass
class Tally:
    """What a job found.

    Attributes:
        trials: faults struck.
        lost: trials that broke the promise of the row.
        outcomes: how the trials ended, in words.
        cases: the first trials that broke it, with what was found.
        seconds: how long the job took.
        notes: what a reader should know, such as a part that could not run here.
    """

    trials: int = 0
    lost: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    cases: list[str] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def good(self, outcome: str, count: int = 1) -> None:
        """Count trials that kept the promise."""
        self.trials += count
        self.outcomes[outcome] += count

    def bad(self, outcome: str, case: str) -> None:
        """Count a trial that broke it, and name it."""
        self.trials += 1
        self.lost += 1
        self.outcomes[outcome] += 1
        if len(self.cases) < KEPT_CASES:
            self.cases.append(f"{outcome}: {case}"[:600])

    def add(self, other: Tally) -> None:
        """Add the counts of another job."""
        self.trials += other.trials
        self.lost += other.lost
        self.outcomes.update(other.outcomes)
        self.cases += other.cases[: KEPT_CASES - len(self.cases)]
        self.seconds += other.seconds
        self.notes += [note for note in other.notes if note not in self.notes]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "trials": self.trials,
            "lost": self.lost,
            "seconds": round(self.seconds, 1),
            "outcomes": dict(self.outcomes.most_common()),
            "cases": self.cases,
            **({"notes": self.notes} if self.notes else {}),
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> Tally:
        """Take one from JSON."""
        return cls(**{**document, "outcomes": Counter(document["outcomes"])})


class Job:
    """Work on one part of a row: which of its cases are ours, and how many there is time for.

    Attributes:
        tally: what was found so far.
        quick: a small part of every kind, for the default tests.
    """

    def __init__(self, *, seed: int = 0, part: int = 0, parts: int = 1, quick: bool = False) -> None:
        self.seed, self.part, self.parts, self.quick = seed, part, parts, quick
        self.tally = Tally()
        self._began_s, self._printed_s = time.monotonic(), 0.0
        self._told = 0

    def random(self, *name: object) -> random.Random:
        """Return a generator of its own for a purpose."""
        return random.Random(" ".join(map(str, (self.seed, *name))))

    def mine(self, cases: Iterable[T]) -> Iterator[T]:
        """Go through the cases of this part."""
        for number, case in enumerate(cases):
            if number % self.parts == self.part:
                yield case

    def some(self, cases: Sequence[T], quick: int) -> list[T]:
        """Return the cases of this part; in a quick run as many of all, spread evenly."""
        chosen = list(cases)
        if self.quick and len(chosen) > quick:
            chosen = [chosen[i * len(chosen) // quick] for i in range(quick)]
        return list(self.mine(chosen))

    def each(self, cases: Sequence[T]) -> Iterator[T]:
        """Go through cases and print how far it is."""
        for number, case in enumerate(cases):
            self.progress(number, len(cases))
            yield case
        self.progress(len(cases), len(cases))

    def progress(self, done: int, total: int) -> None:
        """Print how far this job is, not too often, and the cases that were lost since."""
        now = time.monotonic()
        if now - self._printed_s >= _EVERY_S or done == total:
            self._printed_s = now
            cases, self._told = self.tally.cases[self._told :], len(self.tally.cases)
            print(json.dumps({"done": done, "total": total, "lost": self.tally.lost, "cases": cases}), flush=True)

    def finish(self) -> Tally:
        """Close the tally."""
        self.tally.seconds = time.monotonic() - self._began_s
        return self.tally
