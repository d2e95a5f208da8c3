"""A Ray cluster that runs already: whether it answers, and how it is spoken to."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from omegaconf import DictConfig, OmegaConf

from velora.core.errors import SettingError

_SETTING: Final = "hydra.launcher.ray.init.address"
_VARIABLE: Final = "RAY_ADDRESS"
_LOCAL: Final = "local"
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
    given, named = OmegaConf.select(hydra, "launcher.ray.init.address"), os.environ.get(_VARIABLE)
    address = str(given or named or _LOCAL)
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if address != _LOCAL and _AUTH_MODE not in os.environ and _has_token():
        os.environ[_AUTH_MODE] = "token"
    if not host or not port.isdecimal():  # "auto" is looked for on this machine
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise SettingError(
            f"{_VARIABLE if address == named else _SETTING}: no Ray cluster answers at {host}:{port} ({error}); start "
            f"one there by ray start --head --port={port}, or leave the address out, and one is started on this machine"
        ) from error


def _has_token() -> bool:
    return any(name in os.environ for name in _TOKENS) or (Path.home() / _TOKEN_FILE).exists()
