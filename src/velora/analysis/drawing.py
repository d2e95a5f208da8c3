"""Figures of matplotlib in one style: as pictures in files, and as SVG in a page, where they follow its light and dark.

matplotlib, the extra ``plot``, is imported when a figure is made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from velora.analysis.palette import LIGHT
from velora.core.errors import VeloraError

TEXT: Final = 9.5
"""Points of the text in a figure."""
_VARIABLES: Final = {
    **{colour: f"--curve-{i}" for i, colour in enumerate(LIGHT.series)},
    **{getattr(LIGHT, name): f"--{name}" for name in ("paper", "ink", "muted", "grid")},
}
_MARK: Final = "curve-"
"""What begins the ``gid`` of everything that belongs to one curve; its number follows."""


def make_figure(width: float, height: float) -> Any:
    """Make an empty figure that needs no display, of a size in inches.

    Raises:
        VeloraError: if matplotlib isn't installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from velora.analysis.shown import ShownFigure
    except ImportError as error:
        raise VeloraError(
            "curves: matplotlib isn't installed; install it, or the extra plot (pip install -e '.[plot]' in a checkout)"
        ) from error
    figure = ShownFigure(figsize=(width, height), facecolor=LIGHT.paper)
    FigureCanvasAgg(figure)
    return figure


def mark(artist: Any, curve: int) -> None:
    """Say which curve something belongs to, so that a page can hide all of it at once."""
    artist.set_gid(f"{_MARK}{curve}")


def tick(value: float) -> str:
    """Write the number beside a tick, with separators between thousands and a proper minus.

    Example:
        >>> tick(-1500.0), tick(20000.0), tick(0.25), tick(0.1 + 0.2)
        ('\N{MINUS SIGN}1,500', '20,000', '0.25', '0.3')
    """
    return f"{round(value, 10) + 0.0:,.10g}".replace("-", "\N{MINUS SIGN}")


def dress(axes: Any, *, title: str, below: str, across: str, left: float = 0.0) -> None:
    """Name a panel and its two axes, and take away what carries no information.

    Args:
        title: what the panel shows, bold.
        below: the meaning of the vertical axis, in a line below the title.
        across: the meaning of the horizontal axis.
        left: how far to the left of the axes title and line begin, in inches.
    """
    axes.set_facecolor("none")
    place = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(title, (0, 1), (-72 * left, 23), fontsize=TEXT + 1.5, fontweight="bold", color=LIGHT.ink, **place)
    axes.annotate(below, (0, 1), (-72 * left, 9), fontsize=TEXT, color=LIGHT.muted, **place)
    axes.set_xlabel(across, fontsize=TEXT, color=LIGHT.muted, loc="left")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: tick(value))
        axis.set_tick_params(length=0, labelsize=TEXT, labelcolor=LIGHT.muted, pad=5)
    axes.locator_params(axis="x", nbins=5)
    axes.locator_params(axis="y", nbins=6)
    axes.grid(color=LIGHT.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def text_width(figure: Any, texts: Sequence[str], *, size: float = TEXT, weight: str = "normal") -> float:
    """Return how many inches the widest of some texts takes."""
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    written = [Text(text=text, fontsize=size, fontweight=weight, figure=figure, parse_math=False) for text in texts]
    wide = [text.get_window_extent(renderer).width for text in written]
    return float(max(wide, default=0.0) / figure.dpi)


def broken(figure: Any, text: str, width: float, *, size: float = TEXT, weight: str = "normal") -> str:
    """Break a text between its words into lines of at most so many inches; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(figure, [longer], size=size, weight=weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def save_figure(figure: Any, path: str | Path, *, dpi: int = 150) -> Path:
    """Write a figure into a file, to the same bytes whenever it is drawn from the same numbers.

    Args:
        path: its suffix chooses the format (``.png``, ``.svg``, ``.pdf``).
        dpi: pixels per inch of a ``.png``.

    Raises:
        VeloraError: if it can't be written.
    """
    from matplotlib import rc_context

    target = Path(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(target.suffix.lower())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with rc_context({"svg.hashsalt": "velora"}):
            figure.savefig(target, dpi=dpi, metadata=undated)
    except (OSError, ValueError) as error:
        raise VeloraError(f"{target}: the picture can't be written ({error}); choose another path or format") from error
    return target


def embedded(figure: Any, *, name: str, title: str, description: str) -> str:
    """Return a figure as SVG to be put into a page: its colours and its font are the page's.

    What :func:`mark` marked carries ``data-curve`` with the number of its curve.

    Args:
        name: of letters, digits and hyphens, and of no other picture in the page.
        title: what it shows, for those who don't see it.
        description: the same in a sentence or two.
    """
    from matplotlib import rc_context

    stream = io.StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    svg = stream.getvalue()
    svg = svg[svg.index("<svg ") :]
    head, _, rest = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    rest = re.sub(r"\s*<metadata>.*?</metadata>", "", rest, flags=re.S)
    rest = re.sub(rf'id="{_MARK}(\d+)"', r'data-curve="\1"', rest)
    rest = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", rest)  # matplotlib counts its parts anew in every picture
    rest = re.sub(r"\s*<!--.*?-->", "", rest, flags=re.S)
    rest = re.sub(r"<style .*?</style>", "", rest, count=1, flags=re.S)  # it would hold for the whole page
    rest = re.sub(r"(font-family:|font: [^;\"]*?px) [^;\"]*", r"\1 var(--font, sans-serif)", rest)
    rest = re.sub("|".join(_VARIABLES), lambda found: f"var({_VARIABLES[found[0]]}, {found[0]})", rest)
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img" '
        f'aria-labelledby="{name}-title {name}-desc">{told}{rest}'
    )
