"""What makes a run what it is: the settings that decide its results, their digest, and the name made from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from velora.cli.run import seeds as seed_settings

WITHOUT: Final = frozenset(
    {
        *("device", "checkpoint", "logger", "resume", "retry", "hydra"),
        *("env.recommended", "env.workers", "env.worker_timeout_s"),
        *("train.n_episodes", "train.n_steps", "train.progress_bar", "train.summary", "train.log_every"),
    }
)
"""Settings that another run of the same results may have: where it computes, what it saves and shows, its length."""
_DIGITS, _MOST_OF_VALUE, _MOST_OF_NAME = 8, 24, 80


def settings(cfg: DictConfig) -> dict[str, Any]:
    """Resolve the settings that make a run what it is, by their full names.

    ``train.seeds=3`` and the list that it stands for are one; so are ``1e-3`` and ``0.001``.

    Raises:
        SettingError: if the seeds can't be understood.
        OmegaConfBaseException: if a reference can't be resolved.
    """
    groups = {key: cfg[key] for key in map(str, cfg) if key not in WITHOUT}
    plain = dict(_leaves({key: _plain(node) for key, node in groups.items()}, ""))
    named = cfg.train.get("seeds") is not None or cfg.train.seed is not None
    plain.pop("train.seed", None)
    plain["train.seeds"] = list(seed_settings.choose(cfg)) if named else None
    return plain


def digest(cfg: DictConfig) -> str:
    """Return the first hexadecimal digits of the SHA-256 over :func:`settings`."""
    text = json.dumps(settings(cfg), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def job_name(*swept: str, _root_: DictConfig) -> str:
    """Name the directory of a job, by a few words and the digest; one that has the digest already is found again.

    It is a resolver, and sees all settings of a job in the process of any launcher.

    Args:
        swept: the settings and groups in which the jobs of the sweep differ.
    """
    found, here = digest(_root_), Path(str(_root_.hydra.sweep.dir))
    if here.is_dir() and (known := sorted(path.name for path in here.glob(f"*{found}") if path.is_dir())):
        return known[0]
    chosen = {one.key_or_group: one.value() for one in _parsed(_root_.hydra.overrides.task)}
    names = sorted(name for name in swept if name in chosen)
    leaves = [name.rpartition(".")[2] for name in names]
    words = []
    for name, leaf in zip(names, leaves, strict=True):
        value = OmegaConf.select(_root_, name) if "/" not in name else None
        is_group = value is None or OmegaConf.is_config(value)
        words.append(_short(f"{leaf if leaves.count(leaf) == 1 else name}-{chosen[name] if is_group else value}"))
    return f"{'_'.join(words)[:_MOST_OF_NAME].strip('-._') or 'job'}_{found}"


def differences(saved: Mapping[str, Any], now: Mapping[str, Any], run_dir: Path) -> list[str]:
    """List the settings in which a job isn't the run in its directory, as ``name: old -> new``.

    Settings that the run's version of Velora didn't have are left out; paths are compared from the run on.
    """
    old, new = (_normal(tree, str(run_dir.absolute())) for tree in (saved, now))
    return [f"{name}: {old[name]} -> {new.get(name, 'not set')}" for name in old if old[name] != new.get(name)]


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _parsed(words: Iterable[str]) -> list[Any]:
    return OverridesParser.create().parse_overrides(list(words))


def _short(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", word)[:_MOST_OF_VALUE].strip("-.")


def _leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each setting that counts; those that are null say the same as those that aren't there."""
    if name in WITHOUT or (name.startswith("callbacks.") and tree is None):
        return
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, _number(tree)


def _number(value: Any) -> Any:
    """Write a whole number one way: 1.0 as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [_number(one) for one in value] if isinstance(value, list) else value


def _normal(tree: Mapping[str, Any], run_dir: str) -> dict[str, str]:
    return {name: json.dumps(value, default=str).replace(run_dir, "<run>") for name, value in tree.items()}
