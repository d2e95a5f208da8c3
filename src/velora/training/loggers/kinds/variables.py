"""Environment variables that hold while some logger needs them."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar


class Variables:
    """Variables that are set while anybody needs them; what the user has set stays as it is.

    Args:
        values: by name.
    """

    _lock: ClassVar = threading.Lock()
    _needed: ClassVar[Counter[str]] = Counter()

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._held: list[str] = []

    def hold(self) -> None:
        """Set them."""
        with self._lock:
            for name, value in self._values.items():
                if self._needed[name] or name not in os.environ:
                    os.environ[name] = value
                    self._needed[name] += 1
                    self._held.append(name)

    def release(self) -> None:
        """Remove those that nobody else needs; releasing twice is harmless."""
        with self._lock:
            for name in self._held:
                self._needed[name] -= 1
                if not self._needed[name]:
                    os.environ.pop(name, None)
            self._held.clear()
