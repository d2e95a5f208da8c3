"""The list of commands: every row leads somewhere, and the help is made from it."""

import pytest

from velora.cli.commands import COMMANDS, help_text
from velora.cli.main import main


def test_the_help_has_a_line_for_every_command() -> None:
    lines = help_text().splitlines()
    for name, command in COMMANDS.items():
        assert [line for line in lines if line.split()[:2] == ["velora", name] and line.endswith(command.summary)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert f"  velora {name}" in said.out


def test_an_unknown_command_names_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evalute"]) == 2
    assert "did you mean evaluate?" in capfd.readouterr().err
