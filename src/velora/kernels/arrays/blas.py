"""One thread for NumPy's products: waking others costs more than a small product, and would change the last bits."""

from __future__ import annotations

import ctypes
import importlib
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


class Quietly:
    """Compute in NumPy on one thread, and let NaN and infinity spread without warnings."""

    def __enter__(self) -> None:
        """Set both, remembering what was set before."""
        self._errors = np.errstate(all="ignore")
        self._errors.__enter__()
        if _threads is not None:
            self._before = _threads[0]()
            _threads[1](1)

    def __exit__(self, *error: Any) -> None:
        """Set both back."""
        if _threads is not None:
            _threads[1](self._before)
        self._errors.__exit__(*error)
