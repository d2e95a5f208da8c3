"""One thread for NumPy's products: waking others costs more than a small product, and would change the last bits."""

from __future__ import annotations

import ctypes
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")


def _find() -> tuple[Callable[[], int], Callable[[int], object]] | None:
    """Find what reads and sets the number of threads of the OpenBLAS that NumPy uses; ``None`` if it uses another."""
    try:
        library = ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError):
        return None
    for name in _NAMES:
        try:
            return library[name.format("get_num_threads")], library[name.format("set_num_threads")]
        except AttributeError:
            continue
    return None


_threads = _find()


class _OneThread:
    """Keep that library on one thread while any thread of the process computes quietly: its number is global."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin as in a forked child, which has none of the threads that were computing."""
        self._lock, self._n_inside, self._before = threading.Lock(), 0, 1

    def enter(self) -> None:
        """Set it to one thread, if nobody has."""
        assert _threads is not None
        with self._lock:
            if self._n_inside == 0:
                self._before = _threads[0]()
                if self._before != 1:
                    _threads[1](1)
            self._n_inside += 1

    def leave(self) -> None:
        """Set it back, if nobody else needs it."""
        assert _threads is not None
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0 and self._before != 1:
                _threads[1](self._before)


_one_thread = _OneThread()
if hasattr(os, "register_at_fork"):  # Windows doesn't fork
    os.register_at_fork(after_in_child=_one_thread.forget)


class Quietly:
    """Compute in NumPy on one thread, and let NaN and infinity spread without warnings."""

    def __enter__(self) -> None:
        """Set both, remembering what was set before."""
        self._errors = np.errstate(all="ignore")
        self._errors.__enter__()
        if _threads is not None:
            _one_thread.enter()

    def __exit__(self, *error: Any) -> None:
        """Set both back."""
        if _threads is not None:
            _one_thread.leave()
        self._errors.__exit__(*error)
