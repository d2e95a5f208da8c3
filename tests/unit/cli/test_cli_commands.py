"""The list of commands: every row leads somewhere, and the help is made from it."""

from pathlib import Path

import pytest

from velora.cli.commands import COMMANDS, help_text
from velora.cli.main import main


def test_the_help_has_a_line_for_every_command() -> None:
    lines = help_text().splitlines()
    for name, command in COMMANDS.items():
        assert [line for line in lines if line.split()[:2] == ["velora", name] and line.endswith(command.summary)]


def test_the_page_of_all_commands_has_them_all() -> None:
    page = (Path(__file__).parents[3] / "docs/getting-started.md").read_text(encoding="utf-8")
    listed = page.partition("## All commands")[2].partition("\n## ")[0]
    assert [name for name in COMMANDS if f"velora {name} " not in listed and f"velora {name}\n" not in listed] == []


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.some(8)
def test_every_command_teaches(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert f"  velora {name}" in said.out


def test_an_unknown_command_names_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "did you mean evaluate?" in capfd.readouterr().err


def test_help_lists_only_groups_that_the_command_chooses_from(capfd: pytest.CaptureFixture[str]) -> None:
    listed = {}
    for name in ("train", "evaluate", "check-env"):
        main([name, "--help"])
        text = capfd.readouterr().out.partition("Groups:")[2].partition("Settings:")[0]
        listed[name] = {line.partition(":")[0].partition("/")[0] for line in text.splitlines()[1:] if ": " in line}
    assert listed["evaluate"] == {"device", "env"}
    assert listed["check-env"] == {"env"}
    assert {"agent", "callbacks", "checkpoint", "device", "env", "experiment", "logger", "train"} <= listed["train"]
