"""The command ``velora plot``: a picture of the learning curves of runs."""

from __future__ import annotations

from collections.abc import Sequence

from velora.cli.run import chosen_runs, compare
from velora.core.errors import SettingError
from velora.core.terminal import say

HELP = """\
Draw the learning curves of runs. Runs that differ in nothing but their seed are seeds of one curve, and every
environment has a panel.

  velora plot outputs/2026-11-23/14-03-22-115325_Pendulum-v1_3f9a
  velora plot multirun/2026-11-23/14-10-07-003811_sweep_91c0 out=curves.svg    # all runs below a directory
  velora plot <run> <run> window=20 title='CfC on Pendulum'                    # compares them

Settings:
  out=curves.png   the picture; .png, .svg or .pdf
  window=10        episodes in a moving mean
  title=           above the picture

velora compare chooses which runs are one curve, draws any metric, and writes pages and tables.
"""
SETTINGS = ("out", "window", "title")
_ONLY_COMPARE = frozenset(compare.SETTINGS) - {*SETTINGS}


def plot(words: Sequence[str]) -> int:
    """Run ``velora plot`` and return its exit code.

    Raises:
        VeloraError: if there is nothing to draw, or a setting is wrong.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    for word in words:
        if word.partition("=")[0] in _ONLY_COMPARE:
            raise SettingError(f"{word}: velora plot draws the return of everything; velora compare takes that word")
    runs, given = chosen_runs.split(words, SETTINGS, command="plot")
    last = {name: values[-1] for name, values in given.items()}
    window = chosen_runs.whole_number("window", last.get("window", "10"))
    out = last.get("out", "curves.png")
    from velora.analysis.curves import plot_runs

    plot_runs(runs, out, window=window, title=last.get("title", ""))
    say(f"{out}\n")
    return 0
