"""Composing of settings from the configuration files and the words of a command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import velora
from velora.cli.command.arguments import Arguments
from velora.cli.command.mistakes import find_mistake
from velora.cli.run import run_directory
from velora.cli.settings import schema
from velora.cli.sweep import identity

_IS_HYDRA_1_4 = hasattr(hydra.utils, "execution_whitelist")
VERSION_BASE: dict[str, Any] = {} if _IS_HYDRA_1_4 else {"version_base": "1.3"}
"""Keywords that choose today's defaults of Hydra; 1.4 has no others and warns when asked."""


def config_dir() -> Path:
    """Return the directory of the configuration files: in an installed package, or at the top of a checkout."""
    package = Path(velora.__file__).parent
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


@contextmanager
def composing() -> Iterator[None]:
    """Let ``hydra.compose`` read the configuration files."""
    register()
    with hydra.initialize_config_dir(str(config_dir()), **VERSION_BASE):
        yield


def register() -> None:
    """Make schemas and resolvers known to Hydra."""
    schema.register()
    # OmegaConf 2.3 has a register_resolver too: an older one, which is gone when Hydra 1.4 is there.
    register: Any = OmegaConf.register_resolver if _IS_HYDRA_1_4 else OmegaConf.register_new_resolver
    register("velora.run_label", run_directory.run_label, use_cache=True, replace=True)  # one name for one run
    register("velora.job_name", identity.job_name, use_cache=False, replace=True)


def find_mistake_in(config_name: str, arguments: Arguments) -> str | None:
    """Explain the first word that can't be composed; ``None`` if the files can't be, even without the words."""
    try:
        with hydra.initialize_config_dir(str(config_dir()), **VERSION_BASE):
            return find_mistake(config_name, arguments)
    except (HydraException, OmegaConfBaseException):
        return None
