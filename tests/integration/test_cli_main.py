from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig

from velora import __version__


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_teaches(command: Callable[..., Any], words: tuple[str, ...]) -> None:
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    evaluation = "velora evaluate checkpoint=<run>/checkpoints/final"
    for line in ("velora train", evaluation, "resume=<run>", "train.seeds=10", "-m agent.", "velora doctor"):
        assert line in out


def test_the_next_command_is_no_part_of_the_one_before(command: Callable[..., Any]) -> None:
    """Where paths are shown from is the directory that a command is typed in, not its first one's."""
    command("train", "--cfg", "job")
    assert not HydraConfig.initialized()


def test_version(command: Callable[..., Any]) -> None:
    assert command("--version") == (0, f"velora {__version__}\n", "")


def test_unknown_command(command: Callable[..., Any]) -> None:
    code, _, err = command("trian")
    assert code == 2
    assert err == "velora trian: 'trian' is no command; did you mean train?\n"


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_help_of_a_command_lists_examples_groups_and_settings(command: Callable[..., Any], name: str) -> None:
    code, out, err = command(name, "--help")
    assert (code, err) == (0, "")
    assert f"velora {name} " in out
    assert "env: cartpole, half_cheetah, hopper" in out
    assert "threads: null" in out
    assert "_schema" not in out
    assert "Hydra" not in out


def test_plot_help_and_mistakes(command: Callable[..., Any]) -> None:
    assert command("plot", "--help").code == command("plot").code == 0
    for words, expected in (
        (("out=a.png",), "expected at least one run directory"),
        (("run", "windw=3"), "windw=3: no such setting; did you mean window?"),
        (("run", "window=x"), "window: expected a whole number, got 'x'"),
        (("nowhere",), "nowhere: no such directory"),
    ):
        code, _, err = command("plot", *words)
        assert code == 2
        assert err.startswith("velora plot: ")
        assert expected in err
        assert err.count("\n") == 1
