"""Which numbers are run seeds; it needs neither PyTorch nor NumPy, for which a command line would have to wait."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from velora.core.errors import SettingError


def check_seed(seed: Any) -> int:
    """Return ``seed`` if it is a whole number in [0, 2**32), NumPy's too.

    Raises:
        SettingError: if it isn't.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**32:
        raise SettingError(f"seed: expected a whole number from 0 to 4294967295, got {seed!r}")
    return int(seed)
