"""The address of a Ray cluster, looked at before a sweep begins."""

from __future__ import annotations

import os
import socket
from typing import Any, Final

from omegaconf import DictConfig, OmegaConf

from velora.core.errors import SettingError

_SETTING: Final = "hydra.launcher.ray.init.address"
_ANSWER_S: Final = 3.0


def check(hydra: DictConfig) -> None:
    """Knock at the address of a Ray cluster, where one is given; Ray itself would wait for minutes.

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
    if not host or not port.isdecimal():  # none, "auto" and "local" are looked for on this machine
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise SettingError(
            f"{_SETTING if given else 'RAY_ADDRESS'}: no Ray cluster answers at {host}:{port} ({error}); start one "
            f"there by ray start --head --port={port}, or leave the address out, and one is started on this machine"
        ) from error
