"""The directory of one run: its name, the settings in it, and the rule that no two runs share one."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from velora.checkpoint.layout import CHECKPOINTS
from velora.cli.settings import plain_yaml
from velora.core import disk
from velora.core.errors import RunDirectoryError

CONFIG, METRICS = "config.yaml", "metrics.db"


def run_label(name: str) -> str:
    """Make the end of a run directory's name: the environment, or ``sweep``, and four random digits.

    Two processes that start in the same microsecond, on two machines even, still get two directories.
    """
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}_{secrets.token_hex(2)}"


def sweep() -> str | None:
    """Return the name of the sweep that this run is a job of, its directory's; ``None`` if it is none."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).name


def started_in() -> Path:
    """Return the directory that the command was typed in, which a job leaves under ``hydra.job.chdir=true``."""
    return Path(HydraConfig.get().runtime.cwd) if HydraConfig.initialized() else Path.cwd()


def shown(path: Path) -> Path:
    """Shorten a path for printing, if it is below the directory that the command was typed in."""
    here = started_in()
    return path.relative_to(here) if path.is_relative_to(here) else path


def check_free(run_dir: Path) -> None:
    """Refuse to begin a run in the directory of another.

    Raises:
        RunDirectoryError: if the directory holds a run already.
    """
    held = next((name for name in (CONFIG, METRICS, CHECKPOINTS) if (run_dir / name).exists()), None)
    if held is not None:
        raise RunDirectoryError(
            f"{run_dir} holds a run already ({held}); go on with it by resume={run_dir}, "
            "or choose another hydra.run.dir"
        )


def save_settings(run_dir: Path, cfg: DictConfig) -> None:
    """Write ``config.yaml`` in one step: a reader finds the old file whole or the new one.

    Raises:
        RunDirectoryError: if the directory can't be written.
    """
    text = OmegaConf.to_yaml(cfg, resolve=True)
    staged = run_dir / f".{CONFIG}.{secrets.token_hex(4)}"
    try:
        disk.make_directory(run_dir)
        with staged.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(run_dir / CONFIG)
        disk.sync_directory(run_dir)
    except OSError as error:
        raise unwritable(run_dir, error) from error
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def unwritable(run_dir: Path, error: OSError) -> RunDirectoryError:
    """Make the error for a directory that the system refuses to write."""
    return RunDirectoryError(f"{run_dir} can't be written ({error.strerror}); choose another hydra.run.dir")


def distinguishing(cfg: DictConfig) -> dict[str, Any]:
    """List the settings beside the agent's that change the result of learning, by their full names.

    ``velora plot`` tells curves apart by them: batch size, callbacks, the environment's keywords and
    wrappers. Settings that are null or false are left out.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    callbacks = {name: entry for name, entry in plain["callbacks"].items() if entry is not None}
    parts = {f"callbacks.{name}": entry for name, entry in callbacks.items()}
    for name, part in plain["env"].items():
        if name not in ("id", "recommended") and isinstance(part, dict):
            parts[f"env.{name}"] = {
                key: value for key, value in part.items() if value is not None and value is not False
            }
    settings = {f"{part}.{name}": value for part, entry in parts.items() for name, value in entry.items()}
    whole = {"train.batch_size": plain["train"]["batch_size"], "callbacks": "+".join(sorted(callbacks)) or "none"}
    return {**whole, **settings}


def load_settings(run_dir: Path) -> DictConfig:
    """Read a run's ``config.yaml``.

    Raises:
        RunDirectoryError: if there is no run, or its settings can't be read.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        what = "is no run: it has no config.yaml" if run_dir.is_dir() else "does not exist"
        raise RunDirectoryError(f"{run_dir} {what}; expected the directory that velora train printed as 'run'")
    settings = plain_yaml.load(path)
    if not isinstance(settings, DictConfig):
        raise RunDirectoryError(f"{path} holds no settings: expected name: value pairs")
    return settings


def remove_if_empty(run_dir: Path) -> None:
    """Remove the directory of a run that never began, with the parents that it leaves empty.

    Nothing outside the directory is touched that the command was typed in. A log file that would be written into it is
    given up: Python opens it at the first line, which may come from a launcher when the directory is gone.
    """
    here = started_in()
    with contextlib.suppress(OSError):
        while here in run_dir.parents:
            run_dir.rmdir()  # refuses when there is anything inside
            _give_up_logs(run_dir)
            run_dir = run_dir.parent


def _give_up_logs(run_dir: Path) -> None:
    """Let no logger write into a directory that is gone."""
    for logger in (logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))):
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent == run_dir.absolute():
                logger.removeHandler(handler)
                handler.close()
