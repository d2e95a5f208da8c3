"""Tables of a module that note what is put into them and taken out, so that nobody has to look through them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any


class Note:
    """Whether something of a network was written to since the network was last looked at."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set = False


class NotedTable(dict[str, Any]):
    """A table of a module, which notes when an entry is put in or taken out.

    Copies are ordinary, so that a copied module is an ordinary module.
    """

    def __init__(self, entries: Mapping[str, Any], note: Note) -> None:
        super().__init__(entries)
        self._note = note

    def __setitem__(self, key: str, value: Any) -> None:
        self._note.is_set = True
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._note.is_set = True
        super().__delitem__(key)

    def pop(self, *args: Any) -> Any:
        self._note.is_set = True
        return super().pop(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class NotedHooks(OrderedDict[int, Any]):
    """Hooks of a module, which note when one is added; copies are ordinary."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self._note = note

    def __setitem__(self, key: int, value: Any) -> None:
        self._note.is_set = True
        super().__setitem__(key, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return OrderedDict, (list(self.items()),)
