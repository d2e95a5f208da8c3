"""Colours stay apart, computed as people with and without full colour vision see them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from velora.analysis.palette import DARK, LIGHT, MOST_CURVES, Palette
from velora.analysis.statistics import Floats

SEEN_WITHOUT = {
    "no cone less": np.eye(3),
    "red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira & Fernandes 2009, table 1 at severity 1, on linear RGB."""


def linear(colour: str) -> Floats:
    """Return linear RGB in [0, 1], as IEC 61966-2-1 has it."""
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Floats) -> Floats:
    """Return Ottosson's OKLab (2020), in which equal distances look about equally large; 0.02 is just seen."""
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.21190350, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.62997870],
    ]
    axes = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.97799850, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    lab: Floats = np.array(axes) @ np.cbrt(np.array(cones) @ np.clip(rgb, 0.0, 1.0))
    return lab


def contrast(first: str, second: str) -> float:
    """Return the contrast of WCAG 2.2, from 1 to 21."""
    low, high = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def test_the_measures_themselves() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the usual example of a near miss
    np.testing.assert_allclose(oklab(linear("#ffffff")), [1.0, 0.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(oklab(linear("#ff0000")), [0.628, 0.225, 0.126], atol=1e-3)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("cones", SEEN_WITHOUT)
def test_any_two_curves_stay_apart(palette: Palette, cones: str) -> None:
    seen = [oklab(np.array(SEEN_WITHOUT[cones]) @ linear(colour)) for colour in palette.series]
    assert len(seen) == MOST_CURVES == 8
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) >= 0.11


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_and_text_stand_out_from_the_ground(palette: Palette) -> None:
    assert min(contrast(colour, palette.paper) for colour in palette.series) >= 3.0
    for ground in (palette.paper, palette.raised):
        assert contrast(palette.ink, ground) >= 7.0
        assert contrast(palette.muted, ground) >= 4.5
