"""Rows of a table: plain dictionaries, and a DataFrame of them for those who have pandas."""

from __future__ import annotations

from typing import Any

from velora.core.errors import VeloraError


class Rows(list[dict[str, Any]]):
    """List of rows, each a dictionary from column to value.

    Example:
        >>> rows = Rows([{"step": 200, "return": -900.0}, {"step": 400, "return": -300.0}])
        >>> max(row["return"] for row in rows), rows.columns()
        (-300.0, ['step', 'return'])
    """

    def columns(self) -> list[str]:
        """List the columns of all rows, in the order in which they first come."""
        return list(dict.fromkeys(name for row in self for name in row))

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
