"""The commands that ``velora`` knows. What they run is imported late: torch takes seconds, Hydra a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def train(words: Sequence[str]) -> int:
    """Run ``velora train``."""
    from velora.cli.command import jobs

    return jobs.train(words)


def evaluate(words: Sequence[str]) -> int:
    """Run ``velora evaluate``."""
    from velora.cli.command import jobs

    return jobs.evaluate(words)


def plot(words: Sequence[str]) -> int:
    """Run ``velora plot``."""
    from velora.cli.run.plot import plot

    return plot(words)


def doctor(words: Sequence[str]) -> int:
    """Run ``velora doctor``."""
    from velora.cli.doctor.doctor import doctor

    return doctor(words)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": train,
    "evaluate": evaluate,
    "plot": plot,
    "doctor": doctor,
}
