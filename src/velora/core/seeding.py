"""One generator per purpose and seed, so that adding a draw in one place never shifts the numbers of another."""

from __future__ import annotations

import random
import secrets
import zlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
import torch

from velora.core.errors import SettingError
from velora.core.seed_values import check_seed

_process_seed: int | None = None


def derive(seed: int, purpose: str, *index: int) -> int:
    """Derive the 63-bit seed of one purpose from a run seed.

    Args:
        seed: the run seed, >= 0.
        purpose: a short name such as ``"exploration"``.
        index: further coordinates, such as (environment, episode).
    """
    entropy = (seed, zlib.crc32(purpose.encode()), len(index), *index)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Make the NumPy generator of one purpose."""
    return np.random.Generator(np.random.PCG64(derive(seed, purpose)))


def torch_generator(seed: int, purpose: str) -> torch.Generator:
    """Make the CPU torch generator of one purpose."""
    return torch.Generator("cpu").manual_seed(derive(seed, purpose))


def episode_seed(seed: int, environment: int, episode: int) -> int:
    """Derive the seed that ``env.reset`` gets, so that any episode can be replayed alone (31 bits, as Gym accepts)."""
    return derive(seed, "episode", environment, episode) >> 32


def set_seed(seed: int) -> int:
    """Seed Python, NumPy and torch, and every agent made afterwards without a ``seed=`` of its own.

    Raises:
        SettingError: if ``seed`` is negative or over 2**32 - 1.
    """
    global _process_seed
    check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the user's own code may draw from it
    torch.manual_seed(seed)
    _process_seed = seed
    return seed


def default_seed() -> int:
    """Return the seed given to :func:`set_seed`, or a fresh random one."""
    return secrets.randbelow(2**32) if _process_seed is None else _process_seed


def check_seeds(seed: int | None, seeds: Iterable[int] | None) -> tuple[int, ...]:
    """Check the run seeds given to a constructor: one, several, or neither, which is the default seed.

    Raises:
        SettingError: if both are given, none, one twice, or anything else.
    """
    if seeds is None:
        return (default_seed() if seed is None else check_seed(seed),)
    try:
        several = iter(seeds)
    except TypeError as error:  # of a NumPy array of no axis too, which says that it is iterable
        raise SettingError(f"seeds: expected several whole numbers, such as range(5), got {seeds!r}") from error
    if seed is not None:
        raise SettingError("seeds: give seed= for one agent or seeds= for several, not both")
    checked = tuple(check_seed(s) for s in several)
    if not checked:
        raise SettingError("seeds: expected at least one, got none")
    if len(set(checked)) < len(checked):
        twice = next(seed for seed, count in Counter(checked).items() if count > 1)
        raise SettingError(f"seeds: expected none twice, got {twice} more than once")
    return checked


def are_chosen(seed: int | None, seeds: Iterable[int] | None) -> bool:
    """Return whether somebody chose the run seeds of a constructor, by its arguments or by :func:`set_seed`."""
    return not (seed is None and seeds is None and _process_seed is None)
