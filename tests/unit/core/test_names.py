"""The one "did you mean"."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import velora
from velora.core import names
from velora.core.names import did_you_mean, nearest

KNOWN = ["agent", "agent.burn_in", "agent.critic_units", "agent.tau", "train", "train.n_episodes", "train.n_steps"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train.n_episods", "train.n_episodes"),
        ("n_episodes", "train.n_episodes"),
        ("agnt", "agent"),
        ("agent.unitz", "agent.critic_units"),
        ("trian.n_steps", "train.n_steps"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(name: str, expected: str | None) -> None:
    assert nearest(name, KNOWN) == expected


def test_nearest_of_nothing() -> None:
    assert nearest("a", []) is None


def test_did_you_mean_falls_back() -> None:
    assert did_you_mean("taw", ["tau"], "look it up") == "did you mean tau?"
    assert did_you_mean("zzz", ["tau"], "look it up") == "look it up"
    assert did_you_mean("taw", ["tau"], "look it up", written=repr) == "did you mean 'tau'?"


def test_the_examples_in_the_docstrings() -> None:
    results = doctest.testmod(names)
    assert results.attempted > 0
    assert results.failed == 0


def test_nothing_else_compares_names() -> None:
    """Five places did, each with a threshold of its own."""
    sources = Path(velora.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "difflib" in path.read_text(encoding="utf-8")] == ["names.py"]
