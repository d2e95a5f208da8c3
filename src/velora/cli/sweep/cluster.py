"""A Ray cluster that runs already: whether it answers, and how it is spoken to."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Final

from omegaconf import DictConfig, OmegaConf

from velora.core.errors import SettingError

_SETTING: Final = "hydra.launcher.ray.init.address"
_ANSWER_S: Final = 3.0
_AUTH_MODE: Final = "RAY_AUTH_MODE"
_TOKENS: Final = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_TOKEN_FILE: Final = ".ray/auth_token"


def prepare(hydra: DictConfig) -> None:
    """Knock at the address of a Ray cluster, where one is given, and have Ray show the user's token there.

    Ray itself would wait for minutes at an address where nothing is. It makes a token for the user when it starts a
    cluster, which then asks for one, but shows it only if it is told to; a cluster that asks for none bears it.

    Args:
        hydra: Hydra's own settings.

    Raises:
        SettingError: if nothing answers there within three seconds.
    """
    if OmegaConf.select(hydra, "launcher.ray.init") is None:
        return
    given: Any = OmegaConf.select(hydra, "launcher.ray.init.address")
    address = str(given or os.environ.get("RAY_ADDRESS") or "")
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if address and _AUTH_MODE not in os.environ and _has_token():
        os.environ[_AUTH_MODE] = "token"
    if not host or not port.isdecimal():  # none, "auto" and "local" are looked for on this machine
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise SettingError(
            f"{_SETTING if given else 'RAY_ADDRESS'}: no Ray cluster answers at {host}:{port} ({error}); start one "
            f"there by ray start --head --port={port}, or leave the address out, and one is started on this machine"
        ) from error


def _has_token() -> bool:
    return any(name in os.environ for name in _TOKENS) or (Path.home() / _TOKEN_FILE).exists()
