"""Find what a mistyped name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from omegaconf import DictConfig


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like ``name``, or ``None`` if none does.

    Of dotted names the last part counts first, so that ``n_episodes`` finds ``train.n_episodes``.

    Example:
        >>> nearest("n_episods", ["train.n_episodes", "train.n_steps"])
        'train.n_episodes'
    """
    names = sorted(set(known))
    whole = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    if whole:
        return whole[0]
    by_last_part = {known_name.rpartition(".")[2]: known_name for known_name in reversed(names)}
    last = difflib.get_close_matches(name.rpartition(".")[2], by_last_part, n=1, cutoff=0.6)
    return by_last_part[last[0]] if last else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Word the hint that ends an error: the nearest name, or what to do when there is none."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else otherwise


def dotted_names(cfg: DictConfig, prefix: str = "") -> list[str]:
    """List every name in a configuration, groups and settings, as one writes it on the command line."""
    names = []
    for key in cfg:
        names.append(f"{prefix}{key}")
        child = cfg._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_missing():
            names += dotted_names(child, f"{prefix}{key}.")
    return names
