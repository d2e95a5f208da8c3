"""Numbers and tables as C text, the same for the same numbers on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

WIDTH = 110
"""Characters that a line of a table may have."""


def literal(number: float) -> str:
    """Write a float32 exactly, in hexadecimal.

    Example:
        >>> literal(0.1)
        '0x1.99999ap-4f'
        >>> literal(-2.0)
        '-0x1p+1f'
        >>> literal(0.0)
        '0.0f'
    """
    value = float(np.float32(number))
    if value == 0.0:
        return "0.0f"
    digits, exponent = value.hex().split("p")
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits}p{exponent}f"


def unsigned(number: int) -> str:
    """Write a number of 32 bits, so that it is one where ``int`` has 16 bits too."""
    return f"UINT32_C({number})"


def table(kind: str, name: str, entries: Iterable[str]) -> str:
    """Write a constant table; one that is empty holds a zero, since C has no empty arrays."""
    return f"static const {kind} {name}[] TABLE = {{\n{rows(list(entries) or ['0'])}\n}};\n"


def rows(entries: Sequence[str], indent: str = "    ") -> str:
    """Fill lines with entries and commas."""
    lines, line = [], indent
    for entry in entries:
        if len(line) + len(entry) + 2 > WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += f"{entry}, "
    lines.append(line.rstrip())
    return "\n".join(lines)
