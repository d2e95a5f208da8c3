"""Resume a run: its saved settings replace the configuration files, and the command line wins over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from velora.checkpoint.layout import CHECKPOINTS
from velora.checkpoint.schema import METADATA_FILE
from velora.cli.command.arguments import Arguments, written
from velora.cli.run.run_directory import load_settings
from velora.cli.run.trust import foreign_code, foreign_places
from velora.cli.settings import budget
from velora.core.errors import RunDirectoryError, SettingError

CONFIG_NAME = "resumed_run"
FREE_GROUPS = ("device", "checkpoint", "train", "callbacks", "logger")
"""Groups of which another file may be chosen for the rest of a run."""
FIXED_GROUPS = ("agent", "env", "experiment")
"""Groups that make it another run."""


def run_of(path: Path) -> Path:
    """Return the directory of the run that a path names: that itself, or one of its checkpoints."""
    parent = path.absolute().parent
    return parent.parent if _is_checkpoint(path) and parent.name == CHECKPOINTS else path


def beginning(path: Path) -> Path:
    """Return what the trainer begins from: the checkpoint that a path names, or the directory of those of its run."""
    return path if _is_checkpoint(path) else path / CHECKPOINTS


def _is_checkpoint(path: Path) -> bool:
    return (path / METADATA_FILE).exists()


def prepare(path: Path, arguments: Arguments) -> Arguments:
    """Store a run's saved settings for Hydra as the file ``resumed_run``, and choose the run's directory for output.

    A file in a directory shouldn't decide which code runs, nor where files are written. So a class or an environment's
    module from outside Velora and Lightning must be named again on the command line, and so must places outside of the
    run's directory.

    Args:
        path: the run to go on with, or one of its checkpoints, at which a branch of it begins.
        arguments: the command line.

    Returns:
        The command line, with the output directory added.

    Raises:
        SettingError: if the command line asks for another run, or for several.
        RunDirectoryError: if there is no run to go on with.
    """
    run_dir = run_of(path)
    if arguments.is_multirun:
        raise SettingError("resume: goes on with one run; leave -m (--multirun) out")
    named = {override.key_or_group for override in arguments.parsed()}
    for group in sorted(named):
        if group.partition("/")[0] in FIXED_GROUPS:
            raise SettingError(f"{group}: can't change when a run is resumed; start a new run by leaving resume= out")
    saved = load_settings(run_dir)
    kept: dict[str, Any] = {}
    for key in (*FREE_GROUPS, "agent", "env"):
        if not isinstance(saved.get(key), DictConfig):
            raise RunDirectoryError(f"{run_dir}/config.yaml has no {key!r}; expected the settings of a training run")
        if key not in named:
            kept[key] = saved[key]
    _refuse(run_dir, foreign_code(kept), named, "names code from outside Velora")
    _refuse(run_dir, foreign_places(kept, run_dir), named, "names a place outside of the run's directory")
    if isinstance(saved.get("distill"), DictConfig):
        kept["distill"] = saved["distill"]
    defaults: list[Any] = ["distill_schema" if "distill" in kept else "train_schema"]
    defaults += [{group: None if group in kept else "default"} for group in FREE_GROUPS]
    defaults += ["_self_", {"override hydra/job_logging": "velora"}, {"override hydra/help": "velora_train"}]
    node = {"defaults": defaults, **kept, "hydra": {"output_subdir": None, "job": {"name": "train"}}}
    ConfigStore.instance().store(name=CONFIG_NAME, node=node, provider="velora")
    return arguments.adding(hydra__run__dir=str(run_dir))


def _refuse(run_dir: Path, found: Iterable[tuple[str, str]], named: set[str], what: str) -> None:
    foreign = {where: value for where, value in found if where not in named}
    if foreign:
        words = " ".join(written(where, value) for where, value in foreign.items())
        raise SettingError(
            f"{next(iter(foreign))}: {run_dir}/config.yaml {what}; if you trust it, add {words} to the command line"
        )


def command(run_dir: Path, settings: Mapping[Any, Any], *more: str) -> str:
    """Write the command that resumes a run; code from outside Velora and places outside of the run are named again.

    Args:
        run_dir: the run.
        settings: the run's settings.
        more: further words of the command.
    """
    foreign = dict((*foreign_code(settings), *foreign_places(settings, run_dir)))
    again = [written(where, value) for where, value in foreign.items()]
    return " ".join(["velora train", written("resume", str(run_dir)), *again, *more])


_TOLD_BY_THE_TRAINER = ("resume", "agent.", "device.", "train.batch_size")


def differences(saved: DictConfig, cfg: DictConfig) -> list[str]:
    """List the settings that a resumed run changes, as ``name: old -> new``.

    Changes of the agent, and of what its bits depend on beside it, are left to the trainer, which compares them with
    the checkpoint itself.
    """
    old, new = dict(leaves(saved)), dict(leaves(cfg))
    if budget.implied(old) == budget.implied(new) == budget.EPISODES:  # nobody has named them
        old.pop(budget.EPISODES)
        new.pop(budget.EPISODES)
    return [
        f"{name}: {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not name.startswith(_TOLD_BY_THE_TRAINER)
    ]


def leaves(cfg: DictConfig) -> Iterator[tuple[str, Any]]:
    """List every setting with its value, references resolved."""
    return _walk(OmegaConf.to_container(cfg, resolve=True), "")


def _walk(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _walk(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, tree
