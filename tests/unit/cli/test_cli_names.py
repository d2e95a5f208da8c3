from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from velora.cli.command.mistakes import dotted_names
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


def test_dotted_names_lists_groups_and_settings_without_resolving() -> None:
    cfg = OmegaConf.create({"a": {"b": 1, "c": None}, "d": "${nowhere}", "e": "???"})
    assert dotted_names(cfg) == ["a", "a.b", "a.c", "d", "e"]
