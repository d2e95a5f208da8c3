"""Draw the learning curves of runs into one figure.

matplotlib, the extra ``plot``, is needed for drawing only and is imported when a figure is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from velora.analysis import drawing
from velora.analysis.comparison.comparison import compare
from velora.analysis.comparison.report import picture


def plot_runs(
    paths: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    window: int = 10,
    title: str = "",
    dpi: int = 150,
) -> Any:
    """Draw the learning curves of runs, with a panel for each environment.

    Thin lines are single seeds, the thick one is their interquartile mean, both as moving means; the band around it is
    a 95 % bootstrap interval from three seeds on, and the range below that (a line at the bottom says which); circles
    are evaluations. Runs that differ in nothing but their seed are seeds of one curve; else its name says what differs.
    :func:`velora.analysis.comparison.comparison.compare` chooses more finely.

    Args:
        paths: run directories, their ``metrics.db``, or directories of runs. A run may still be going on.
        out: where the picture is written; its suffix chooses the format (``.png``, ``.svg``, ``.pdf``). ``None`` writes
            none.
        window: episodes in a moving mean, >= 1.
        title: above the picture.
        dpi: pixels per inch of a ``.png``.

    Returns:
        The figure, a ``matplotlib.figure.Figure``, which a notebook shows.

    Raises:
        RunDirectoryError: if there is nothing to draw.
        SettingError: if ``window`` isn't a whole number >= 1, or seeds of one curve share no steps.
        VeloraError: if matplotlib isn't installed, or the picture can't be written.
    """
    given = [paths] if isinstance(paths, str | Path) else paths
    figure = picture(compare(*given, window=window), title=title, with_seeds=True)
    if out is not None:
        drawing.save_figure(figure, out, dpi=dpi)
    return figure
