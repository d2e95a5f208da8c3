"""A picture of a circuit: its neurons in layers, from what it senses to what it does, and every synapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.analysis.drawing import make_figure, save_figure
from velora.analysis.palette import DARK, LIGHT, Palette
from velora.core.errors import ShapeError, VeloraError
from velora.nn.wiring import NCPWiring

LAYERS: Final = ("sensory", "inter", "command", "motor")
FORMATS: Final = (".svg", ".png")
"""What a picture may be written as."""
_WIDTH: Final = 680
_TOP: Final = 52
_BOTTOM: Final = 40
_SIDE: Final = 70
_LEAST_HEIGHT: Final = 240
"""Of the part with the neurons."""
_GAPS: Final = (7.0, 26.0)
"""The least and largest distance between two neurons of a layer."""
_SHAPES: Final = """\
text { font: 13px system-ui, sans-serif; text-anchor: middle }
.synapses { fill: none; stroke-width: 1.1 } .inhibits { stroke-dasharray: 4 3 }"""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Circuit of layers.

    Shapes:
        synapses: an array (sources, targets) for each pair of layers: 0 is no synapse, else its sign or its strength.

    Attributes:
        sizes: neurons of each layer, by its name, in the order in which they are drawn.
        synapses: by the names of the source's layer and the target's, which may be the same one.
        has_signs: whether negative numbers inhibit; else a synapse is there or isn't.
        note: below the picture.
    """

    sizes: dict[str, int]
    synapses: dict[tuple[str, str], NDArray[np.float64]]
    has_signs: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        for (source, target), array in self.synapses.items():
            expected = (self.sizes.get(source), self.sizes.get(target))
            if array.shape != expected:
                raise ShapeError(f"synapses from {source} to {target}: expected shape {expected}, got {array.shape}")

    @classmethod
    def of(cls, wiring: NCPWiring, *, is_circuit: bool = False) -> Circuit:
        """Describe a neural circuit policy.

        Args:
            wiring: any.
            is_circuit: whether the cell is one set of equations over all neurons, as an LTC. Only then signs mean
                something, and synapses inside a layer are those of the wiring; of other cells every neuron reads all
                of its layer.

        Example:
            >>> from velora.nn.wiring import auto_ncp
            >>> Circuit.of(auto_ncp(3, 12, 2), is_circuit=True).n_synapses
            30
        """
        inter, command, motor = wiring.layers()
        inner, sensory = wiring.adjacency.astype(np.float64), wiring.sensory_adjacency.astype(np.float64)
        sizes = dict(zip(LAYERS, (wiring.inputs, wiring.inter, wiring.command, wiring.motor), strict=True))
        synapses = {
            ("sensory", "inter"): sensory[:, inter],
            ("inter", "command"): inner[inter, command],
            ("command", "motor"): inner[command, motor],
        }
        if is_circuit:
            synapses["command", "command"] = inner[command, command]
        found = cls(sizes, synapses, has_signs=is_circuit)
        between = f"{found.n_synapses} synapses"
        note = f"{between}; solid: excites, dashed: inhibits" if is_circuit else f"{between} between layers"
        return replace(found, note=note)

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return sum(int(np.count_nonzero(array)) for array in self.synapses.values())

    def describe(self) -> str:
        """Describe the circuit in one line."""
        layers = ", ".join(f"{n} {name}" for name, n in self.sizes.items())
        return f"{layers}: {self.n_synapses} synapses"


def draw(circuit: Circuit, *, names: Sequence[str] = (), title: str = "Wiring") -> str:
    """Draw a circuit as SVG, in light and in dark, that loads nothing and runs nothing.

    Layers are columns with their names, so that no meaning is in colours alone; a synapse that inhibits is dashed.

    Args:
        circuit: what to draw.
        names: of the first layer's neurons, such as the observation's parts; none by default.
        title: for those who don't see the picture.

    Example:
        >>> from velora.nn.wiring import auto_ncp
        >>> draw(Circuit.of(auto_ncp(3, 12, 2))).count("<circle")
        15
    """
    places, whole = _laid_out(circuit)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {whole}" width="{_WIDTH}" role="img">',
        f"<title>{escape(title)}</title><desc>{escape(circuit.describe())}</desc>",
        f"<style>{_SHAPES}",
        f"{_colours(LIGHT, len(places))}",
        f"@media (prefers-color-scheme: dark) {{ {_colours(DARK, len(places))} }}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{whole}"/>',
    ]
    for source, target in circuit.synapses:
        parts += _synapses(circuit, source, target, places)
    for colour, (name, n) in enumerate(circuit.sizes.items()):
        parts += _neurons(name, n, places[name], colour)
    parts += [
        f'<text class="note" x="{x - 12:.0f}" y="{y + 4:.0f}" style="text-anchor: end">{escape(text)}</text>'
        for text, (x, y) in zip(names, next(iter(places.values())), strict=False)
    ]
    parts.append(f'<text class="note" x="{_WIDTH / 2:.0f}" y="{whole - 14}">{escape(circuit.note)}</text></svg>')
    return "\n".join(parts) + "\n"


def save(circuit: Circuit, path: str | Path, *, names: Sequence[str] = (), title: str = "Wiring") -> Path:
    """Draw a circuit into a file; see :func:`draw`.

    Args:
        path: ``.svg``, or ``.png``, which matplotlib draws, in light.

    Raises:
        VeloraError: if it can't be written, has another extension, or is a ``.png`` and matplotlib isn't installed.
    """
    target = Path(path)
    check_name(target)
    if target.suffix.lower() == ".png":
        return save_figure(_figure(circuit, names=names), target, dpi=200)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(draw(circuit, names=names, title=title), encoding="utf-8")
    except OSError as error:
        raise VeloraError(f"{target}: can't be written ({error.strerror or error}); choose another path") from error
    return target


def check_name(path: str | Path) -> None:
    """Refuse a file of another kind than pictures of circuits are of.

    Raises:
        VeloraError: naming those that they are.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise VeloraError(f"out: expected a file that ends in {' or '.join(FORMATS)}, got {path}")


_Places = list[tuple[float, float]]


def _colours(palette: Palette, n_layers: int) -> str:
    """Write the colours as CSS, each as it is: some viewers know no custom properties."""
    rules = [
        f"text {{ fill: {palette.ink} }} .note {{ fill: {palette.muted} }} .paper {{ fill: {palette.paper} }}",
        f"circle {{ stroke: {palette.paper} }}",
    ]
    for at in range(n_layers):
        colour = palette.series[at % len(palette.series)]
        rules.append(f".layer-{at} {{ fill: {colour} }} .from-{at} {{ stroke: {colour} }}")
    return " ".join(rules)


def _laid_out(circuit: Circuit) -> tuple[dict[str, _Places], int]:
    """Place all neurons; return their places by layer, and the height of the picture."""
    height = max(_LEAST_HEIGHT, round(_GAPS[0] * max(circuit.sizes.values())))
    sizes = circuit.sizes.items()
    return {name: _column(at, n, len(sizes), height) for at, (name, n) in enumerate(sizes)}, height + _TOP + _BOTTOM


def _column(at: int, n: int, n_layers: int, height: int) -> _Places:
    """Place the neurons of a layer below each other, around the middle."""
    x = _SIDE + 40 + at * (_WIDTH - 2 * _SIDE - 40) / max(n_layers - 1, 1)
    gap = min(_GAPS[1], height / max(n, 1))
    return [(x, _TOP + height / 2 + (i - (n - 1) / 2) * gap) for i in range(n)]


def _synapses(circuit: Circuit, source: str, target: str, places: dict[str, _Places]) -> Iterator[str]:
    colour = list(circuit.sizes).index(source)
    array = circuit.synapses[source, target]
    opacity = _opacity(array)
    for kind, chosen in (("excites", array > 0), ("inhibits", array < 0)) if circuit.has_signs else (("", array != 0),):
        if not chosen.any():
            continue
        pairs = ((places[source][i], places[target][j]) for i, j in np.argwhere(chosen).tolist())
        way = " ".join(_curve(start, end, is_inside=source == target) for start, end in pairs)
        classes = f"synapses from-{colour} {kind}".strip()
        yield f'<path class="{classes}" opacity="{opacity:.2f}" d="{way}"/>'


def _opacity(array: NDArray[np.float64]) -> float:
    """Let many synapses be fainter."""
    return float(min(0.75, max(0.22, 12 / max(1.0, float(np.count_nonzero(array)) ** 0.5))))


def _bulge(y: float, v: float) -> float:
    """Return how far a way inside a layer goes aside: there to the right, back to the left."""
    return 16 + abs(v - y) / 3 if v > y else -16 - abs(v - y) / 3


def _radius(places: _Places) -> float:
    gap = places[1][1] - places[0][1] if len(places) > 1 else _GAPS[1]
    return max(2.5, min(7.0, gap * 0.36))


def _curve(start: tuple[float, float], end: tuple[float, float], *, is_inside: bool) -> str:
    (x, y), (u, v) = start, end
    if not is_inside:
        middle = (x + u) / 2
        return f"M{x:.0f} {y:.1f}C{middle:.0f} {y:.1f} {middle:.0f} {v:.1f} {u:.0f} {v:.1f}"
    if y == v:  # a neuron onto itself
        return f"M{x:.0f} {y:.1f}c14 -16 26 0 0 0"
    return f"M{x:.0f} {y:.1f}Q{x + _bulge(y, v):.0f} {(y + v) / 2:.1f} {u:.0f} {v:.1f}"


def _neurons(name: str, n: int, places: _Places, colour: int) -> Iterator[str]:
    radius = _radius(places)
    yield f'<g class="layer-{colour}">'
    for x, y in places:
        yield f'<circle cx="{x:.0f}" cy="{y:.1f}" r="{radius:.1f}"/>'
    yield "</g>"
    x = places[0][0] if places else 0.0
    yield f'<text x="{x:.0f}" y="20">{escape(name)}</text><text class="note" x="{x:.0f}" y="37">{n}</text>'


def _figure(circuit: Circuit, *, names: Sequence[str]) -> Any:
    """Draw the same with matplotlib, from the same places and curves."""
    figure = make_figure(_WIDTH / 72, (whole := _laid_out(circuit)[1]) / 72)
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Way

    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(whole, 0))
    axes.set_axis_off()
    places, layers = _laid_out(circuit)[0], list(circuit.sizes)
    for (source, target), array in circuit.synapses.items():
        colour = LIGHT.series[layers.index(source) % len(LIGHT.series)]
        opacity = _opacity(array)
        for i, j in np.argwhere(array != 0).tolist():
            (x, y), (u, v) = places[source][i], places[target][j]
            if source != target:
                points, codes = [(x, y), ((x + u) / 2, y), ((x + u) / 2, v), (u, v)], [Way.MOVETO, *[Way.CURVE4] * 3]
            elif y == v:
                points = [(x, y), (x + 14, y - 16), (x + 26, y), (x, y)]
                codes = [Way.MOVETO, *[Way.CURVE4] * 3]
            else:
                points, codes = [(x, y), (x + _bulge(y, v), (y + v) / 2), (u, v)], [Way.MOVETO, *[Way.CURVE3] * 2]
            style = "--" if circuit.has_signs and array[i, j] < 0 else "-"
            way = Way(points, codes)
            axes.add_patch(PathPatch(way, fill=False, edgecolor=colour, alpha=opacity, linewidth=1.1, linestyle=style))
    for at, (name, n) in enumerate(circuit.sizes.items()):
        own, colour = places[name], LIGHT.series[at % len(LIGHT.series)]
        axes.scatter(*zip(*own, strict=True), s=(2 * _radius(own)) ** 2, color=colour, edgecolors=LIGHT.paper, zorder=3)
        axes.text(own[0][0], 20, name, ha="center", fontsize=11, color=LIGHT.ink)
        axes.text(own[0][0], 37, str(n), ha="center", fontsize=11, color=LIGHT.muted)
    for text, (x, y) in zip(names, places[layers[0]], strict=False):
        axes.text(x - 12, y, text, ha="right", va="center", fontsize=11, color=LIGHT.muted)
    axes.text(_WIDTH / 2, whole - 14, circuit.note, ha="center", fontsize=11, color=LIGHT.muted)
    return figure
