"""The model zoo: trained agents that come with Velora, as checkpoints; ``zoo:pendulum`` names one of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from velora.core.errors import CheckpointError
from velora.core.names import did_you_mean

PLACE: Final = Path(__file__).parents[1] / "zoo"
"""Where the checkpoints lie, in ``<name>/ep<episode>``."""
SCORES: Final = "scores.json"
PREFIX: Final = "zoo:"


@dataclass(frozen=True, slots=True)
class Score:
    """Return of an agent of the zoo in the test episodes of its task, without noise.

    Attributes:
        checkpoint: its directory, relative to the zoo.
        agent: name of its class.
        neurons: of the policy, its motor neurons not counted.
        study: its task, as the benchmarks name it.
        arm: its settings, as the benchmarks name them.
        mean_return: over ``episodes`` episodes.
    """

    checkpoint: str
    agent: str
    cell: str
    neurons: int
    study: str
    arm: str
    mean_return: float
    episodes: int

    @property
    def name(self) -> str:
        """The agent's name in the zoo."""
        return self.checkpoint.partition("/")[0]

    def __str__(self) -> str:
        """Say what it is and earns, in one line."""
        what = f"{self.agent} of {self.neurons} neurons ({self.cell})"
        return f"{self.mean_return:.1f} over {self.episodes} episodes of {self.study}: {what}"


def scores() -> dict[str, Score]:
    """Read what every agent of the zoo is and earns, by its name."""
    rows = json.loads((PLACE / SCORES).read_text(encoding="utf-8"))
    return {one.name: one for one in (Score(**row) for row in rows)}


def find(name: str) -> Path:
    """Return the checkpoint of an agent of the zoo.

    Raises:
        CheckpointError: if there is none of that name.
    """
    known = scores()
    if name not in known:
        hint = did_you_mean(name, known, f"expected one of {', '.join(known)}")
        raise CheckpointError(f"zoo: no agent {str(name)[:100]!r}; {hint}")
    return PLACE / known[name].checkpoint


def resolve(given: str | os.PathLike[str]) -> Path:
    """Return the directory that a word stands for: of ``zoo:<name>`` the zoo's checkpoint, else the path itself.

    Example:
        >>> resolve("zoo:pendulum").name, resolve("outputs/run").as_posix()
        ('ep34', 'outputs/run')

    Raises:
        CheckpointError: if the zoo has no such agent.
    """
    text = os.fspath(given)
    return find(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else Path(text)
