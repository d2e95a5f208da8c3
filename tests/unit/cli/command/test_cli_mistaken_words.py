from __future__ import annotations

from omegaconf import OmegaConf

from velora.cli.command.mistakes import dotted_names


def test_dotted_names_lists_groups_and_settings_without_resolving() -> None:
    cfg = OmegaConf.create({"a": {"b": 1, "c": None}, "d": "${nowhere}", "e": "???"})
    assert dotted_names(cfg) == ["a", "a.b", "a.c", "d", "e"]
