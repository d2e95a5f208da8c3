"""Pictures of circuits: every neuron and synapse is there, by layer, in colours and in words."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from velora.analysis.palette import DARK, LIGHT
from velora.analysis.wiring import LAYERS, Circuit, draw, save
from velora.core.errors import ShapeError, VeloraError
from velora.nn.wiring import auto_ncp, make_wiring

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("kind", ["ncp", "random", "dense"])
def test_every_neuron_and_synapse_is_drawn(kind: str) -> None:
    wiring = make_wiring(kind, 3, 14, 2)
    circuit = Circuit.of(wiring, is_circuit=True)
    picture = ET.fromstring(draw(circuit))
    assert len(list(picture.iter(f"{SVG}circle"))) == 3 + 14
    strokes = "".join(path.attrib["d"] for path in picture.iter(f"{SVG}path"))
    assert strokes.count("M") == wiring.n_synapses + wiring.n_sensory_synapses == circuit.n_synapses
    assert [text.text for text in picture.iter(f"{SVG}text")][::2][:4] == list(LAYERS)
    dashed = [path.attrib["d"] for path in picture.iter(f"{SVG}path") if "inhibits" in path.attrib["class"]]
    inhibits = int((wiring.adjacency < 0).sum() + (wiring.sensory_adjacency < 0).sum())
    assert "".join(dashed).count("M") == inhibits


def test_signs_and_recurrence_are_those_of_an_ltc_only() -> None:
    wiring = auto_ncp(3, 14, 2)
    circuit = Circuit.of(wiring)
    inside = int(np.count_nonzero(wiring.adjacency[wiring.layers()[1], wiring.layers()[1]]))
    assert circuit.n_synapses == wiring.n_synapses + wiring.n_sensory_synapses - inside
    text = draw(circuit)
    assert 'class="synapses from-0"' in text
    assert " inhibits" not in re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    assert f"{circuit.n_synapses} synapses between layers" in text


def test_layers_keep_their_column_and_neurons_apart() -> None:
    picture = ET.fromstring(draw(Circuit.of(auto_ncp(17, 70, 6))))
    columns: dict[str, list[float]] = {}
    for circle in picture.iter(f"{SVG}circle"):
        columns.setdefault(circle.attrib["cx"], []).append(float(circle.attrib["cy"]))
        assert 0 < float(circle.attrib["cy"]) < float(picture.attrib["viewBox"].split()[3])
    assert sorted(map(len, columns.values())) == [6, 17, 25, 39]
    for heights in columns.values():
        assert np.diff(heights).min() > 5


def test_it_is_light_and_dark_and_loads_nothing() -> None:
    text = draw(Circuit.of(auto_ncp(3, 14, 2)), names=["cos", "<sin>", "speed"], title="A & B")
    assert "prefers-color-scheme: dark" in text
    assert all(palette.series[at] in text for palette in (LIGHT, DARK) for at in range(4))
    assert "&lt;sin&gt;" in text
    assert "<title>A &amp; B</title>" in text
    assert not re.findall(r"href|<script|<image|url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert text == draw(Circuit.of(auto_ncp(3, 14, 2)), names=["cos", "<sin>", "speed"], title="A & B")


def test_arrays_that_do_not_fit_and_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"synapses from in to out: expected shape \(2, 1\), got \(1, 2\)"):
        Circuit({"in": 2, "out": 1}, {("in", "out"): np.ones((1, 2))})
    (tmp_path / "file").touch()
    with pytest.raises(VeloraError, match="can't be written"):
        save(Circuit.of(auto_ncp(3, 14, 2)), tmp_path / "file" / "wiring.svg")
    assert save(Circuit.of(auto_ncp(3, 14, 2)), tmp_path / "new" / "wiring.svg").stat().st_size < 10_000
