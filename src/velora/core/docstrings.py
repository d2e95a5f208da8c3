"""Read what a docstring says of arguments, so that it needn't be said again."""

from __future__ import annotations

import re

_ARGUMENTS = re.compile(r"^Args:\n((?:    .*\n?)+)", re.M)
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.M)


def argument_meanings(docstring: str) -> dict[str, str]:
    """Return the meaning of each argument below ``Args:``, on one line and without the full stop.

    Args:
        docstring: one without indentation, as ``inspect.getdoc`` and ``ast.get_docstring`` return it.

    Example:
        >>> argument_meanings("Hold.\\n\\nArgs:\\n    n: how many,\\n        one or more.\\n    order: of them.\\n")
        {'n': 'how many, one or more', 'order': 'of them'}
    """
    section = _ARGUMENTS.search(docstring)
    found = _ARGUMENT.findall(section[1]) if section else []
    return {name: " ".join(said.split()).removesuffix(".") for name, said in found}
