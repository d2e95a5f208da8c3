"""A figure that notebooks show. It imports matplotlib, so it is imported late."""

from __future__ import annotations

import io
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text


class ShownFigure(Figure):
    """Figure that shows itself as the value of a notebook's cell, whether or not ``pyplot`` has been imported there.

    Dollars in its texts are dollars: names of runs and settings aren't formulas.
    """

    def draw(self, renderer: Any) -> None:
        """Draw everything, with texts as they are."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        with rc_context({"text.parse_math": False}):  # ticks are made as they are needed
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()
