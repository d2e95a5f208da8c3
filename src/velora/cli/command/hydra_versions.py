"""What differs between Hydra 1.3 and 1.4, in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import hydra.utils
from omegaconf import OmegaConf

IS_1_4 = hasattr(hydra.utils, "execution_whitelist")

VERSION_BASE: dict[str, Any] = {} if IS_1_4 else {"version_base": "1.3"}
"""Keywords that choose today's defaults; 1.4 has no others and warns when asked."""


def allow(paths: Iterable[str]) -> dict[str, Any]:
    """Make the keywords that let ``instantiate`` call these classes; 1.3 would pass them on to the class."""
    return {"_execution_whitelist_": sorted(set(paths))} if IS_1_4 else {}


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Make ``${name:...}`` known; every configuration asks once for each argument and keeps the answer."""
    # OmegaConf 2.3 has a register_resolver too: an older one, which is gone when Hydra 1.4 is there.
    register: Any = OmegaConf.register_resolver if IS_1_4 else OmegaConf.register_new_resolver
    register(name, resolver, use_cache=True, replace=True)
