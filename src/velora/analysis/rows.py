"""Rows of a table: plain dictionaries, and a DataFrame of them for those who have pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from velora.core.errors import VeloraError


class Rows(list[dict[str, Any]]):
    """List of rows, each a dictionary from column to value.

    Args:
        rows: dictionaries.
        known: columns that there are without any row too.

    Example:
        >>> rows = Rows([{"step": 200, "return": -900.0}, {"step": 400, "return": -300.0}])
        >>> max(row["return"] for row in rows), rows.columns()
        (-300.0, ['step', 'return'])
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = (), *, known: Sequence[str] = ()) -> None:
        super().__init__(rows)
        self._known = tuple(known)

    def columns(self) -> list[str]:
        """List the columns, known ones first, in the order in which they first come."""
        return list(dict.fromkeys((*self._known, *(name for row in self for name in row))))

    def column(self, name: str) -> list[Any]:
        """Return the values of one column; ``None`` for a row without it."""
        return [row.get(name) for row in self]

    def to_pandas(self) -> Any:
        """Make a ``pandas.DataFrame`` of the rows.

        Raises:
            VeloraError: if pandas isn't installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise VeloraError(
                "to_pandas: pandas isn't installed; install it, or the extra pandas (pip install -e '.[pandas]' in a "
                "checkout); the rows themselves need it not"
            ) from error
        return pandas.DataFrame(list(self), columns=self.columns())
