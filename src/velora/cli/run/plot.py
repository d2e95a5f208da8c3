"""The command ``velora plot``: a picture of the learning curves of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from velora.analysis.curves import plot_runs
from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
Draw the learning curves of runs. Runs that differ in nothing but their seed are seeds of one curve.

  velora plot outputs/2026-11-23/14-03-22-115325_Pendulum-v1_3f9a
  velora plot multirun/2026-11-23/14-10-07-003811_sweep_91c0 out=curves.svg    # all runs below a directory
  velora plot <run> <run> window=20 title='CfC on Pendulum'                    # compares them

Settings:
  out=curves.png   the picture; .png, .svg or .pdf
  window=10        episodes in a moving mean
  title=           above the picture
"""
SETTINGS = ("out", "window", "title")


def plot(words: Sequence[str]) -> int:
    """Run ``velora plot`` and return its exit code.

    Raises:
        VeloraError: if there is nothing to draw, or a setting is wrong.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    runs: list[Path] = []
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in SETTINGS:
            given[name] = value
        elif equals and not Path(word).exists():
            raise SettingError(f"{word}: no such setting; {did_you_mean(name, SETTINGS, 'see velora plot --help')}")
        else:
            runs.append(Path(word))
    if not runs:
        raise SettingError("plot: expected at least one run directory, got none; see velora plot --help")
    if "window" in given:
        given["window"] = _whole_number(given["window"])
    picture = plot_runs(runs, **{"out": "curves.png", **given})
    say(f"{picture}\n")
    return 0


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingError(f"window: expected a whole number, got {text!r}") from None
