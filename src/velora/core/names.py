"""Find what a mistyped name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

ALSO_CALLED = {"gpu": "cuda"}
"""Names that people give to what has another one here, and that look like a third."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like ``name``, or ``None`` if none does.

    Compared are whole names, then what follows the last dot, then the single words of that; the shortest path wins.

    Example:
        >>> nearest("n_episods", ["train.n_episodes", "train.n_steps"])
        'train.n_episodes'
        >>> nearest("agent.unitz", ["agent.critic_units", "agent.tau"])
        'agent.critic_units'
    """
    known = set(known)
    if (meant := ALSO_CALLED.get(_leaf(name))) in known:
        return meant
    names = sorted(known, key=lambda known_name: (known_name.count("."), known_name))
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


def did_you_mean(name: str, known: Iterable[str], otherwise: str, *, written: Callable[[str], str] = str) -> str:
    """Word the hint that ends an error: the nearest name, or what to do when there is none.

    Args:
        name: what was given.
        known: what could have been given.
        otherwise: the hint when nothing comes near.
        written: how the nearest name is shown: bare as on a command line, or ``repr`` for a string in Python.

    Example:
        >>> did_you_mean("pendulm", ["pendulum", "walker"], "see --help")
        'did you mean pendulum?'
        >>> did_you_mean("adamm", ["adam", "sgd"], "register it", written=repr)
        "did you mean 'adam'?"
    """
    near = nearest(name, known)
    return f"did you mean {written(near)}?" if near else otherwise
