"""The groups of settings below ``env``, one for each wrapper, as the wrappers' own files declare them.

Names, types and meanings are read from the source (``velora/envs/wrappers``): importing it would import gymnasium, for
which help and misspelt settings would have to wait.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import velora
from velora.cli.settings.fields import told
from velora.core.docstrings import argument_meanings

TYPES: Final = {
    "int": int,
    "float": float,
    "str": str,
    "Sequence[int]": list[int],
    "Sequence[float]": list[float],
}
"""Types of settings by the annotation of the argument; any other annotation takes every value."""


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """The settings of one wrapper.

    Attributes:
        name: the group's name, as in ``env/time=irregular``.
        place: the wrapper's place among those that are chosen together; the smallest is innermost.
        schema: a dataclass of the options, all null by default, which leaves the wrapper out.
        meaning: what the wrapper does, by its docstring.
    """

    name: str
    place: int
    schema: type[Any]
    meaning: str


def extended(settings: type[Any], *, is_optional: bool = False) -> Any:
    """Make the dataclass of an environment's settings with the groups in it.

    Args:
        settings: a dataclass of the other settings.
        is_optional: each group is null by default, which leaves the wrapper as it was in training.
    """
    fields: list[tuple[str, Any, Any]] = []
    for group in GROUPS:
        of_its_own = (group.name, group.schema, dataclasses.field(default_factory=group.schema))
        fields.append((group.name, group.schema | None, None) if is_optional else of_its_own)
    return dataclasses.make_dataclass(settings.__name__, fields, bases=(settings,))


def _read() -> Iterator[Group]:
    """Find the classes that are marked with ``@register("<group>", place=<place>)``."""
    for path in (Path(velora.__file__).parent / "envs" / "wrappers").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.parse(source).body if "\n@register(" in source else ():
            for mark in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "register":
                    assert isinstance(node, ast.ClassDef)
                    yield _group(node, mark)


def _group(wrapper: ast.ClassDef, mark: ast.Call) -> Group:
    name, given = ast.literal_eval(mark.args[0]), {word.arg: ast.literal_eval(word.value) for word in mark.keywords}
    does = " ".join((ast.get_docstring(wrapper) or "").partition(".")[0].split())
    does = does[:1].lower() + does[1:]
    switch = [(given["switch"], bool, told(False, does))] if "switch" in given else []
    schema = dataclasses.make_dataclass(f"{wrapper.name}Schema", [*switch, *_options(wrapper)])
    schema.__module__ = __name__  # where pickle looks for it
    return Group(name, given["place"], schema, does)


def _options(wrapper: ast.ClassDef) -> Iterator[tuple[str, Any, Any]]:
    """List the options of a wrapper, the arguments of its constructor after ``env``: name, type, default (null).

    Their meanings are those of the docstring.
    """
    meanings = argument_meanings(ast.get_docstring(wrapper) or "")
    for member in wrapper.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            for argument in (*member.args.args[2:], *member.args.kwonlyargs):
                annotation = ast.unparse(argument.annotation) if argument.annotation else ""
                kind = TYPES.get(annotation.removesuffix(" | None"))
                yield argument.arg, Any if kind is None else kind | None, told(None, meanings.get(argument.arg, ""))


GROUPS: Final = tuple(sorted(_read(), key=lambda group: group.place))
"""The groups of all wrappers, from the inside out."""
globals().update({group.schema.__name__: group.schema for group in GROUPS})
