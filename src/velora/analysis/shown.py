"""A figure that notebooks show. It imports matplotlib, so it is imported late."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """Figure that shows itself as the value of a notebook's cell, whether or not ``pyplot`` has been imported there."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=110)
        return stream.getvalue()
