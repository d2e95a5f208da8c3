"""The command ``velora compare``: runs beside each other, as a page, pictures and tables."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence

from velora.cli.run import chosen_runs
from velora.core.terminal import say

HELP = """\
Compare runs: learning curves with their interquartile mean and bootstrap bands, what was reached, how sure that is.

  velora compare multirun/2026-11-23/14-10-07-003811_sweep_91c0                   # a table, here
  velora compare <sweep> by=agent out=report.html                                 # a page for any browser
  velora compare <sweep> by=agent,n_neurons x=seconds out=curves.svg out=table.csv
  velora compare <run> <run> metric=critic/loss out=losses.png
  velora compare multirun where='env=hopper status=finished' by=agent.cell

Every environment has a panel. Runs that agree in what by= names are seeds of one curve.

Settings:
  by=              agent, or settings by name, with commas between them; without it, all in which runs differ
  out=             .html is the page, .png, .svg or .pdf the curves, .csv or .md the table; may be given again
  metric=return    or evaluation, a loss such as critic/loss, or a name that a callback logged
  x=steps          or episodes, or seconds
  window=10        values in a moving mean
  where=           which runs, in the words of velora runs
  normalise=table  random and reference return of each environment: Velora's own, none, or a CSV file with the columns
                   environment, random and reference
  title=           above the page or the picture
"""
SETTINGS = ("by", "out", "metric", "x", "window", "where", "normalise", "title")
PASSED_ON = ("metric", "x", "where", "normalise")
"""Settings that are a word of :func:`velora.analysis.compare` as they are."""


def compare(words: Sequence[str]) -> int:
    """Run ``velora compare`` and return its exit code.

    Raises:
        VeloraError: if there is nothing to compare, or a setting is wrong.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    paths, given = chosen_runs.split(words, SETTINGS, command="compare")
    last = {name: values[-1] for name, values in given.items()}
    window = chosen_runs.whole_number("window", last.get("window", "10"))
    by = [name.strip() for value in given.get("by", []) for name in value.split(",") if name.strip()]
    from velora.analysis.comparison import report
    from velora.analysis.comparison.comparison import compare as compare_runs

    wanted = {name: last[name] for name in PASSED_ON if name in last}
    for out in given.get("out", []):
        report.check_name(out)
    found = compare_runs(*paths, by=by or None, window=window, **wanted)
    title = last.get("title", "")
    for out in given.get("out", []):
        report.save(found, out, command=shlex.join(["velora", "compare", *words]), title=title)
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    say(report.summary(found, width=width) + "".join(f"\n{out}" for out in given.get("out", [])) + "\n")
    return 0
