"""Ctrl+C that a library took for an error of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptions_kept() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in place of an error that was raised from one.

    Where Ctrl+C falls into the import of a compiled module, such as MuJoCo's, pybind11 raises an ``ImportError`` from
    it, and Gymnasium then says that the package isn't installed.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__
        if cause is not None:
            raise KeyboardInterrupt from error
        raise
