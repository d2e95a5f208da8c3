"""A picture of a circuit: its neurons in layers, from what it senses to what it does, and every synapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.analysis.drawing import save_figure
from velora.analysis.palette import DARK, LIGHT, Palette
from velora.analysis.wiring_figure import figure
from velora.analysis.wiring_places import WIDTH, Places, bulge, laid_out, opacity, radius
from velora.core import disk
from velora.core.errors import ShapeError, VeloraError
from velora.nn.wiring import NCPWiring

LAYERS: Final = ("sensory", "inter", "command", "motor")
FORMATS: Final = (".svg", ".png")
"""File formats of a picture."""
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
        return replace(
            found, note=f"{found.counted}; solid: excites, dashed: inhibits" if is_circuit else found.counted
        )

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return sum(int(np.count_nonzero(array)) for array in self.synapses.values())

    def describe(self) -> str:
        """Describe the circuit in one line."""
        layers = ", ".join(f"{n} {name}" for name, n in self.sizes.items())
        return f"{layers}: {self.counted}"

    @property
    def counted(self) -> str:
        """Number of synapses in words, which say so where none inside a layer is drawn."""
        is_whole = any(source == target for source, target in self.synapses)
        return f"{self.n_synapses} synapses{'' if is_whole else ' between layers'}"


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
    places, whole = laid_out(circuit.sizes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title><desc>{escape(circuit.describe())}</desc>",
        f"<style>{_SHAPES}",
        f"{_colours(LIGHT, len(places))}",
        f"@media (prefers-color-scheme: dark) {{ {_colours(DARK, len(places))} }}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{whole}"/>',
    ]
    for source, target in circuit.synapses:
        parts += _synapses(circuit, source, target, places)
    for colour, (name, n) in enumerate(circuit.sizes.items()):
        parts += _neurons(name, n, places[name], colour)
    parts += [
        f'<text class="note" x="{x - 12:.0f}" y="{y + 4:.0f}" style="text-anchor: end">{escape(text)}</text>'
        for text, (x, y) in zip(names, next(iter(places.values())), strict=False)
    ]
    parts.append(f'<text class="note" x="{WIDTH / 2:.0f}" y="{whole - 14}">{escape(circuit.note)}</text></svg>')
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
        return save_figure(_drawn(circuit, names), target, dpi=200)
    try:
        disk.write_text(target, draw(circuit, names=names, title=title))
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


def _synapses(circuit: Circuit, source: str, target: str, places: dict[str, Places]) -> Iterator[str]:
    colour = list(circuit.sizes).index(source)
    array = circuit.synapses[source, target]
    strength = opacity(array)
    for kind, chosen in (("excites", array > 0), ("inhibits", array < 0)) if circuit.has_signs else (("", array != 0),):
        if not chosen.any():
            continue
        pairs = ((places[source][i], places[target][j]) for i, j in np.argwhere(chosen).tolist())
        way = " ".join(_curve(start, end, is_inside=source == target) for start, end in pairs)
        classes = f"synapses from-{colour} {kind}".strip()
        yield f'<path class="{classes}" opacity="{strength:.2f}" d="{way}"/>'


def _curve(start: tuple[float, float], end: tuple[float, float], *, is_inside: bool) -> str:
    (x, y), (u, v) = start, end
    if not is_inside:
        middle = (x + u) / 2
        return f"M{x:.0f} {y:.1f}C{middle:.0f} {y:.1f} {middle:.0f} {v:.1f} {u:.0f} {v:.1f}"
    if y == v:  # a neuron onto itself
        return f"M{x:.0f} {y:.1f}c14 -16 26 0 0 0"
    return f"M{x:.0f} {y:.1f}Q{x + bulge(y, v):.0f} {(y + v) / 2:.1f} {u:.0f} {v:.1f}"


def _neurons(name: str, n: int, places: Places, colour: int) -> Iterator[str]:
    size = radius(places)
    yield f'<g class="layer-{colour}">'
    for x, y in places:
        yield f'<circle cx="{x:.0f}" cy="{y:.1f}" r="{size:.1f}"/>'
    yield "</g>"
    x = places[0][0] if places else 0.0
    yield f'<text x="{x:.0f}" y="20">{escape(name)}</text><text class="note" x="{x:.0f}" y="37">{n}</text>'


def _drawn(circuit: Circuit, names: Sequence[str]) -> Any:
    note, has_signs = circuit.note, circuit.has_signs
    return figure(circuit.sizes, circuit.synapses, names=names, note=note, has_signs=has_signs)
