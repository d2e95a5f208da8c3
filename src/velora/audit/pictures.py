"""Pictures of an audit, as SVG for a page: its colours are the page's, in light and in dark, with any colour vision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from velora.analysis.drawing import tick
from velora.audit.findings import Effect

Floats = NDArray[np.float64]

_LEVELS: Final = 6
_BINS: Final = 24
_MOST_COLUMNS: Final = 240
_MOST_LETTERS: Final = 24
_ABOVE, _BELOW = "var(--curve-0)", "var(--curve-1)"


def plane(x: Floats, y: Floats, values: Floats, *, name: str, across: str, up: str) -> str:
    """Draw the mean of a neuron's activity in every cell of a plane: blue above zero, orange below, stronger is more.

    Shapes:
        x, y, values: (samples,).
    """
    edges = [_edges(one) for one in (x, y)]
    at = [np.clip(np.digitize(one, own) - 1, 0, _BINS - 1) for one, own in zip((x, y), edges, strict=True)]
    total, count = np.zeros((_BINS, _BINS)), np.zeros((_BINS, _BINS))
    np.add.at(total, (at[1], at[0]), values)
    np.add.at(count, (at[1], at[0]), 1.0)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    most = float(np.nanmax(np.abs(mean))) or 1.0
    size = 6 * _BINS
    parts = [
        f'<rect x="0" y="0" width="{size}" height="{size}" fill="none" stroke="var(--grid)"/>',
        *_cells(mean[::-1] / most, 6, 6),
        *_origin(edges, size),
        _text(0, -7, name, anchor="start"),
        _text(size, -7, f"to {most:.2g}", muted=True, anchor="end"),
        _text(size / 2, size + 14, _fitting(across), muted=True),
        f'<g transform="rotate(-90 -5 {size / 2})">{_text(-5, size / 2, _fitting(up), muted=True)}</g>',
    ]
    ranges = (f"{tick(float(f'{one[0]:.2g}'))} to {tick(float(f'{one[-1]:.2g}'))}" for one in edges)
    told = f"Activity of {name}: {across} from {next(ranges)}, {up} from {next(ranges)}, up to {most:.2g} either side"
    return _svg((-18, -22, size + 22, size + 42), parts, told)


def _fitting(name: str) -> str:
    """Cut a name that is longer than an axis, from the left: ends of names of observations tell more."""
    return name if len(name) <= _MOST_LETTERS else f"…{name[1 - _MOST_LETTERS :]}"


def _edges(values: Floats) -> Floats:
    low, high = float(values.min()), float(values.max())
    room = 1e-9 if high > low else 0.5
    return np.linspace(low - room, high + room, _BINS + 1)


def _origin(edges: Sequence[Floats], size: int) -> Iterator[str]:
    """Draw lines at zero, where it is inside."""
    for k, own in enumerate(edges):
        share = -own[0] / (own[-1] - own[0])
        if 0.0 < share < 1.0:
            at = size * (share if k == 0 else 1.0 - share)
            ends = f"M{at:.1f} 0V{size}" if k == 0 else f"M0 {at:.1f}H{size}"
            yield f'<path d="{ends}" stroke="var(--muted)" stroke-width=".5" stroke-dasharray="2 3"/>'


def strip(values: Floats, names: Sequence[str], *, title: str, across: str) -> str:
    """Draw a row of colour for each neuron along time, darker is larger, on a logarithmic scale.

    Shapes:
        values: (T, N), above 0; rows of NaN are left out.
    """
    known = [k for k in range(values.shape[1]) if np.isfinite(values[:, k]).any()]
    chosen = np.log10(np.maximum(values[:, known], 1e-6)).T
    if chosen.shape[1] > _MOST_COLUMNS:
        parts = np.array_split(np.arange(chosen.shape[1]), _MOST_COLUMNS)
        chosen = np.stack([chosen[:, one].mean(1) for one in parts], 1)
    low, high = np.percentile(chosen, 2), np.percentile(chosen, 98)
    shade = np.clip((chosen - low) / max(high - low, 1e-9), 0.02, 1.0)
    wide, tall, width = 560 / chosen.shape[1], 9, 560
    rows = [_text(-5, tall * k + 8, names[at], muted=True, anchor="end", size=8) for k, at in enumerate(known)]
    height = tall * len(known)
    scale = f"pale {_short(10**low)}, dark {_short(10**high)} control steps"
    parts_of = [
        *rows,
        *_cells(shade, wide, tall),
        _text(0, -7, title, anchor="start"),
        _text(width, -7, scale, muted=True, anchor="end"),
        _text(width / 2, height + 14, across, muted=True),
    ]
    return _svg((-78, -22, width + 82, height + 42), parts_of, f"{title}, a row each neuron, {scale}")


def effects(rows: Sequence[Effect], *, title: str) -> str:
    """Draw what treatments do to the return: a dot each, with its interval, and a line at no change."""
    ends = [end for one in rows for end in (one.low, one.change, one.high) if np.isfinite(end)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    span, width, tall = (high - low) or 1.0, 360, 13

    def place(value: float) -> float:
        return width * (value - low) / span

    height = tall * len(rows)
    parts = [f'<path d="M{place(0.0):.1f} -2V{height}" stroke="var(--muted)" stroke-width=".8"/>']
    for k, one in enumerate(rows):
        y = tall * k + 7
        is_sure = one.low > 0.0 or one.high < 0.0
        colour = "var(--muted)" if not is_sure else _BELOW if one.change < 0.0 else _ABOVE
        parts += [
            _text(-8, y + 3, one.name, anchor="end", size=9, muted=not is_sure),
            f'<circle cx="{place(one.change):.1f}" cy="{y}" r="3.2" fill="{colour}"/>',
        ]
        if np.isfinite(one.low):
            ends_of = f"M{place(one.low):.1f} {y}H{place(one.high):.1f}"
            parts.append(f'<path d="{ends_of}" stroke="{colour}" stroke-width="2"/>')
    parts += [
        _text(0, -9, title, anchor="start"),
        _text(0, height + 13, tick(float(f"{low:.3g}")), muted=True, anchor="start"),
        _text(width, height + 13, tick(float(f"{high:.3g}")), muted=True, anchor="end"),
    ]
    return _svg((-150, -24, width + 160, height + 42), parts, f"{title}: change of the return, with 95 % intervals")


def _cells(shares: Floats, wide: float, tall: float) -> Iterator[str]:
    """Draw an array of cells from -1 to 1, one path for each level; cells side by side are one."""
    level = np.where(np.isnan(shares), 0, np.ceil(np.abs(np.nan_to_num(shares)) * _LEVELS) * np.sign(shares))
    drawn: dict[int, list[str]] = {}
    for row, levels in enumerate(level):
        changes = np.flatnonzero(np.diff(levels)) + 1
        for start, end in zip([0, *changes.tolist()], [*changes.tolist(), len(levels)], strict=True):
            if levels[start]:
                x, y, long = start * wide, row * tall, (end - start) * wide
                drawn.setdefault(int(levels[start]), []).append(f"M{x:.5g} {y:.5g}h{long:.5g}v{tall:.5g}h-{long:.5g}z")
    for found, boxes in sorted(drawn.items()):
        colour = _ABOVE if found > 0 else _BELOW
        yield f'<path fill="{colour}" fill-opacity="{abs(found) / _LEVELS:.2f}" d="{"".join(boxes)}"/>'


def _short(value: float) -> str:
    return f"{value:.2g}" if 1e-2 <= value < 1e4 else f"{value:.0e}"


def _text(x: float, y: float, text: str, *, muted: bool = False, anchor: str = "middle", size: int = 10) -> str:
    colour = "var(--muted)" if muted else "var(--ink)"
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )


def _svg(box: tuple[float, float, float, float], parts: Sequence[str], told: str) -> str:
    view = " ".join(f"{one:.4g}" for one in box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img" aria-label="{escape(told)}" '
        f'font-family="var(--font, sans-serif)"><title>{escape(told)}</title>{"".join(parts)}</svg>'
    )
