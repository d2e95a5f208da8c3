"""The directory of one run: its name, its settings, and that no two runs share one."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from velora.checkpoint.layout import CHECKPOINTS, seed_directories
from velora.cli.hydra_versions import register_resolver
from velora.core.errors import RunDirectoryError

CONFIG, METRICS = "config.yaml", "metrics.db"


def run_label(name: str) -> str:
    """Make the end of a run directory's name: what is trained, and four random digits.

    Two processes that start in the same microsecond, on two machines even, still get two directories.
    """
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}_{secrets.token_hex(2)}"


def register_resolvers() -> None:
    """Make ``${velora.run_label:...}`` known."""
    register_resolver("velora.run_label", run_label)


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
        run_dir.mkdir(parents=True, exist_ok=True)
        with staged.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(run_dir / CONFIG)
    except OSError as error:
        raise RunDirectoryError(
            f"{run_dir} can't be written ({error.strerror}); choose another hydra.run.dir"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)


def load_settings(run_dir: Path) -> DictConfig:
    """Read a run's ``config.yaml``.

    Raises:
        RunDirectoryError: if there is no run, or its settings can't be read.
    """
    path = run_dir / CONFIG
    if not path.is_file():
        what = "is no run: it has no config.yaml" if run_dir.is_dir() else "does not exist"
        raise RunDirectoryError(f"{run_dir} {what}; expected the directory that velora train printed as 'run'")
    try:
        settings = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise RunDirectoryError(f"{path} can't be read: {str(error).splitlines()[0]}") from error
    if not isinstance(settings, DictConfig):
        raise RunDirectoryError(f"{path} holds no settings: expected name: value pairs")
    return settings


def discard_unstarted(run_dir: Path) -> None:
    """Remove what was made for a run that was refused before its settings were written.

    A directory with settings holds a run, and is left alone.
    """
    if (run_dir / CONFIG).exists():
        return
    checkpoints = run_dir / CHECKPOINTS
    for path in (run_dir / METRICS, run_dir / f"{METRICS}-wal", run_dir / f"{METRICS}-shm", checkpoints / ".lock"):
        path.unlink(missing_ok=True)
    for directory in (*seed_directories(checkpoints).values(), checkpoints):
        with contextlib.suppress(OSError):
            directory.rmdir()


def remove_if_empty(run_dir: Path) -> None:
    """Remove the directory that was made for a run that never began, with the parents that it leaves empty.

    Nothing outside the current directory is touched.
    """
    here = Path.cwd()
    with contextlib.suppress(OSError):
        while here in run_dir.parents:
            run_dir.rmdir()  # refuses when there is anything inside
            run_dir = run_dir.parent
