"""Find what a mistyped name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from omegaconf import DictConfig, OmegaConf


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like ``name``, or ``None`` if none does.

    Compared are whole names, then what follows the last dot, then the single words of that; the shortest path wins.

    Example:
        >>> nearest("n_episods", ["train.n_episodes", "train.n_steps"])
        'train.n_episodes'
        >>> nearest("agent.unitz", ["agent.critic_units", "agent.tau"])
        'agent.critic_units'
    """
    names = sorted(set(known), key=lambda known_name: (known_name.count("."), known_name))
    leaves = {_leaf(known_name): known_name for known_name in reversed(names)}
    words = {word: leaves[leaf] for leaf in leaves for word in leaf.split("_") if len(word) > 3}
    whole = {known_name: known_name for known_name in names}
    leaf = _leaf(name)
    for wanted, table, cutoff in ((name, whole, 0.85), (leaf, leaves, 0.75), (leaf, words, 0.75), (leaf, leaves, 0.6)):
        found = difflib.get_close_matches(wanted, table, n=1, cutoff=cutoff)
        if found:
            return table[found[0]]
    return None


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Word the hint that ends an error: the nearest name, or what to do when there is none."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else otherwise


def dotted_names(cfg: DictConfig, prefix: str = "") -> list[str]:
    """List every name in a configuration, groups and settings, as one writes it on the command line."""
    names = []
    for key in map(str, cfg):
        names.append(f"{prefix}{key}")
        if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
            continue
        if isinstance(cfg[key], DictConfig):
            names += dotted_names(cfg[key], f"{prefix}{key}.")
    return names
