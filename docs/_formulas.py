"""A hook of MkDocs: turn fenced blocks of ``math`` into MathML, which browsers draw without a library.

The blocks are TeX, as GitHub shows it too. Of TeX there is what these pages use, and anything else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

FENCE = re.compile(r"^```math\n(.*?)^```$", re.M | re.S)
_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[{}_^]|[0-9.]+|[a-zA-Z]|\s+|.")
_LETTERS = dict(zip(["alpha", "beta", "gamma", "sigma", "tau", "mu", "partial"], "αβγστμ∂", strict=True))
_SIGNS = {
    "cdot": "·", "odot": "⊙", "to": "→", "sum": "∑", "int": "∫", "infty": "∞", "le": "≤", "ge": "≥", "approx": "≈",
    "in": "∈", "lbrace": "{", "rbrace": "}", "quad": "\u2003", ",": "\u2009",
}  # fmt: skip
_OPERATORS = {"'": "\u2032", "-": "\u2212", "*": "\u2217"}
_NAMES = {"exp", "tanh", "log", "max"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Draw the formulas of a page; MkDocs calls this before it reads the page."""
    return FENCE.sub(lambda found: f'<div class="formula">{mathml(found[1])}</div>', markdown)


def mathml(tex: str) -> str:
    r"""Return a displayed formula; lines that end in ``\\`` stand below each other, with ``&`` where they align.

    Raises:
        ValueError: if it has a command that isn't known here, or a brace too many or too few.

    Example:
        >>> mathml("h_1")
        '<math display="block"><msub><mi>h</mi><mn>1</mn></msub></math>'
    """
    lines = [[_row(cell) for cell in line.split("&")] for line in tex.strip().split(r"\\")]
    if lines == [[lines[0][0]]]:
        return f'<math display="block">{lines[0][0]}</math>'
    rows = "".join("<mtr>" + "".join(f"<mtd>{cell}</mtd>" for cell in line) + "</mtr>" for line in lines)
    return f'<math display="block"><mtable class="aligned">{rows}</mtable></math>'


def _row(tex: str) -> str:
    tokens = iter(one for one in _TOKEN.findall(tex) if not one.isspace())
    return "".join(_items(tokens, ends=False))


def _items(tokens: Iterator[str], *, ends: bool) -> list[str]:
    """Read up to the closing brace, or to the end."""
    found: list[str] = []
    for token in tokens:
        if token == "}":
            if not ends:
                raise ValueError("a formula has a } too many")
            return found
        if token in "_^":
            base, script = found.pop() if found else "<mrow></mrow>", _item(next(tokens), tokens)
            below = base.startswith("<msub>") and token == "^"
            if below:
                found.append(f"<msubsup>{base.removeprefix('<msub>').removesuffix('</msub>')}{script}</msubsup>")
            else:
                tag = "msub" if token == "_" else "msup"
                found.append(f"<{tag}>{base}{script}</{tag}>")
        else:
            found.append(_item(token, tokens))
    if ends:
        raise ValueError("a formula has a { too many")
    return found


def _item(token: str, tokens: Iterator[str]) -> str:
    if token == "{":
        return f"<mrow>{''.join(_items(tokens, ends=True))}</mrow>"
    if token.startswith("\\"):
        return _command(token[1:], tokens)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token.isalpha():
        return f"<mi>{token}</mi>"
    return f"<mo>{escape(_OPERATORS.get(token, token))}</mo>"


def _command(name: str, tokens: Iterator[str]) -> str:
    if name == "frac":
        return f"<mfrac>{_item(next(tokens), tokens)}{_item(next(tokens), tokens)}</mfrac>"
    if name == "mathrm":
        return f"<mi>{re.sub('<[^>]*>', '', _item(next(tokens), tokens))}</mi>"
    if name in _LETTERS:
        return f"<mi>{_LETTERS[name]}</mi>"
    if name in _SIGNS:
        return f"<mo>{_SIGNS[name]}</mo>"
    if name in _NAMES:
        return f"<mi>{name}</mi>"
    raise ValueError(f"a formula has \\{name}, which docs/_formulas.py doesn't know; add it there")
