"""Look classes up by a short key that code chose; nothing a file says is ever imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar, final

from velora.core.errors import SettingError, VeloraError
from velora.core.names import did_you_mean

T = TypeVar("T")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@final
class Registry(Generic[T]):
    """Map short keys to classes or functions.

    Example:
        >>> shapes = Registry[type]("shape")
        >>> @shapes.register("dot")
        ... class Dot: ...
        >>> shapes.get("dot").__name__
        'Dot'
        >>> shapes.get("dott")
        Traceback (most recent call last):
        ...
        velora.core.errors.SettingError: shape: unknown key 'dott'; did you mean 'dot'? Known: dot
    """

    def __init__(self, kind: str) -> None:
        """Start empty; ``kind`` is what an error calls the entries, such as ``"agent"``."""
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, key: str) -> Callable[[T], T]:
        """Return a decorator that stores a class under ``key``.

        Raises:
            SettingError: if the key is malformed, or taken by something else.
        """
        if _KEY.fullmatch(key) is None:
            raise SettingError(f"{self.kind}: expected a short key such as 'my_{self.kind}', received {key!r}")

        def store(entry: T) -> T:
            taken = self._entries.get(key)
            if taken is not None and not _same(taken, entry):
                raise SettingError(f"{self.kind}: key {key!r} already belongs to {taken!r}; choose another key")
            self._entries[key] = entry
            return entry

        return store

    def get(self, key: str, *, error: type[VeloraError] = SettingError) -> T:
        """Return the entry of ``key``.

        Args:
            key: as registered.
            error: the class to raise; loading code passes ``CheckpointError``.

        Raises:
            VeloraError: of the class ``error``, naming the known keys, if there is no such entry.
        """
        if key in self._entries:
            return self._entries[key]
        hint = did_you_mean(key, self._entries, "register your own class before using it.", written=repr)
        raise error(
            f"{self.kind}: unknown key {key[:64]!a}; {hint} Known: {', '.join(sorted(self._entries)) or 'none'}"
        )

    def __contains__(self, key: object) -> bool:
        """Return whether ``key`` is registered."""
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        """Go through the keys in order of registration."""
        return iter(self._entries)


def _same(first: object, second: object) -> bool:
    # A reloaded module or a notebook cell defines the same class again; that is no conflict.
    names = [(getattr(entry, "__module__", None), getattr(entry, "__qualname__", None)) for entry in (first, second)]
    return first is second or (names[0] == names[1] and names[0] != (None, None))


agents: Final[Registry[type[Any]]] = Registry("agent")
"""The agent classes by key; ``velora.models`` fills it, and a user's own class joins it with ``agents.register``."""
