"""The wrappers that settings and checkpoints can name, each registered in its own file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import gymnasium as gym

WrapperClass: TypeAlias = type[gym.Wrapper[Any, Any, Any, Any]]
Kind = TypeVar("Kind", bound=WrapperClass)


@dataclass(frozen=True, slots=True)
class Row:
    """A wrapper, and its group of settings below ``env``; see :func:`register`."""

    kind: WrapperClass
    group: str
    place: int
    switch: str | None
    each: bool

    @property
    def options(self) -> list[str]:
        """The arguments of its constructor beside the environment; the first says whether it is there, or each does."""
        return [name for name in inspect.signature(self.kind).parameters if name != "env"]


_rows: list[Row] = []


def register(group: str, *, place: int, switch: str | None = None, each: bool = False) -> Callable[[Kind], Kind]:
    """Let settings and checkpoints name a wrapper of Velora's.

    The options of ``env.<group>`` are what its constructor takes, with the types that it declares. The command line
    reads this call and the constructor from the source, without importing it, so both are written out in full.
    ``conf/env/<group>/`` holds files of options to choose from; ``none`` is always there. A wrapper is put around the
    environment where its first option is set.

    Args:
        group: the group's name, as in ``env/time=irregular``.
        place: the wrapper's place among those that are chosen together; the smallest is innermost.
        switch: of a wrapper that takes no options, the setting that is true where it is there.
        each: any option by itself puts the wrapper there, not only the first.
    """

    def add(kind: Kind) -> Kind:
        _rows.append(Row(kind, group, place, switch, each))
        return kind

    return add


def known() -> dict[str, Row]:
    """Return what was registered, by the name of the class, from the inside out."""
    return {row.kind.__name__: row for row in sorted(_rows, key=lambda row: row.place)}
