"""Formulas as C text: terms that add and multiply as numbers do, so that a formula is written once."""

from __future__ import annotations

from dataclasses import dataclass

from velora.export.c.numbers import literal

_SUM, _PRODUCT, _ATOM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Term:
    """A C expression.

    Example:
        >>> k, h = Term("kept"), Term("own")
        >>> print((1.0 - k) * h)
        (0x1p+0f - kept) * own

    Attributes:
        text: of the expression.
        binds: how strongly its outermost operator binds: as a sum, a product or a name.
    """

    text: str
    binds: int = _ATOM

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: Term | float) -> Term:
        return _join(self, "+", other, _SUM)

    def __radd__(self, other: float) -> Term:
        return _join(other, "+", self, _SUM)

    def __sub__(self, other: Term | float) -> Term:
        return _join(self, "-", other, _SUM)

    def __rsub__(self, other: float) -> Term:
        return _join(other, "-", self, _SUM)

    def __mul__(self, other: Term | float) -> Term:
        return _join(self, "*", other, _PRODUCT)

    def __rmul__(self, other: float) -> Term:
        return _join(other, "*", self, _PRODUCT)

    def __truediv__(self, other: Term | float) -> Term:
        return _join(self, "/", other, _PRODUCT)


def _join(left: Term | float, operator: str, right: Term | float, binds: int) -> Term:
    """Join two terms; the right one in brackets unless it binds more strongly, since float sums don't associate."""
    a, b = (side if isinstance(side, Term) else Term(literal(side)) for side in (left, right))
    first = f"({a})" if a.binds < binds else a.text
    second = f"({b})" if b.binds <= binds else b.text
    return Term(f"{first} {operator} {second}", binds)


class Writer:
    """What a formula is given to be written as C: functions that return terms, and names for what is used twice.

    Attributes:
        lines: the statements before the last one.
        used: the C functions that were called.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.used: set[str] = set()

    def let(self, name: str, value: Term) -> Term:
        """Give a value a name."""
        self.lines.append(f"const float {name} = {value};")
        return Term(name)

    def _call(self, function: str, *arguments: Term) -> Term:
        self.used.add(function)
        return Term(f"{function}({', '.join(map(str, arguments))})")

    def sigmoid(self, x: Term) -> Term:
        return self._call("sigmoid", x)

    def tanh_of(self, x: Term) -> Term:
        return self._call("tanh_of", x)

    def blend(self, a: Term, b: Term, gate: Term) -> Term:
        return self._call("blend", a, b, gate)

    def blend_no_gate(self, a: Term, b: Term, gate: Term) -> Term:
        return self._call("blend_no_gate", a, b, gate)

    def decay(self, x: Term) -> Term:
        return self._call("decay", x)

    def softplus(self, x: Term) -> Term:
        return self._call("softplus", x)

    def above_zero(self, x: Term) -> Term:
        return self._call("above_zero", x)

    def magnitude(self, x: Term) -> Term:
        return self._call("magnitude", x)
