"""Go over composed settings once more, for what ``+name=value`` lets through and what has no value yet."""

from __future__ import annotations

import dataclasses

from omegaconf import DictConfig, OmegaConf

from velora.core.errors import SettingError
from velora.core.names import did_you_mean


def check(cfg: DictConfig, prefix: str = "") -> None:
    """Hold every part of the settings that has a schema against it.

    Raises:
        SettingError: if a setting is unknown, or has no value.
        OmegaConfBaseException: if a reference can't be resolved.
    """
    schema = OmegaConf.get_type(cfg)
    if schema is not None and dataclasses.is_dataclass(schema):
        known = [f.name for f in dataclasses.fields(schema)]
        for key in map(str, cfg):
            if key not in known:
                hint = did_you_mean(
                    f"{prefix}{key}", [f"{prefix}{name}" for name in known], "see --help for all of them"
                )
                raise SettingError(f"{prefix}{key}: no such setting; {hint}")
    for key in map(str, cfg):
        name = f"{prefix}{key}"
        if OmegaConf.is_missing(cfg, key):
            raise SettingError(f"{name}: needs a value; give it as {name}=...")
        child = cfg[key]  # resolves ${...}, which may lead nowhere or to the wrong type
        if isinstance(child, DictConfig):
            check(child, f"{name}.")
