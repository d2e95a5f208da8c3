"""The seeds of a run: one, or several that train side by side."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig

from velora.checkpoint.layout import listed
from velora.core.errors import SettingError
from velora.core.seed_values import check_seed

NAME = "train.seeds"
MOST = 2**20
_EXPECTED = "expected how many seeds to train side by side, at least 1, or a list of them such as [3,5,8]"


def choose(cfg: DictConfig) -> tuple[int, ...]:
    """Return the seeds in the settings; where they name none, draw one.

    ``train.seeds=n`` stands for n seeds from ``train.seed`` on, which is 0 if it isn't set; a list names them.

    Raises:
        SettingError: if they can't be understood, name a seed twice, or contradict each other.
    """
    first, wanted = cfg.train.seed, cfg.train.get("seeds")
    if wanted is None:
        return (secrets.randbelow(2**32) if first is None else check_seed(first),)
    if isinstance(wanted, ListConfig):
        return _listed(list(wanted), first)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise SettingError(f"{NAME}: {_EXPECTED}, got {wanted!r}")
    if wanted > MOST:
        raise SettingError(f"{NAME}: expected at most {MOST:,} seeds, got {wanted:,}")
    start = 0 if first is None else check_seed(first)
    check_seed(start + wanted - 1)
    return tuple(range(start, start + wanted))


def _listed(wanted: Sequence[Any], first: int | None) -> tuple[int, ...]:
    if not wanted:
        raise SettingError(f"{NAME}: {_EXPECTED}, got an empty list")
    try:
        seeds = tuple(check_seed(seed) for seed in wanted)
    except SettingError as error:
        raise SettingError(str(error).replace("seed:", f"{NAME}:", 1)) from None
    twice = [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]
    if twice:
        raise SettingError(f"{NAME}: expected none twice, got {twice[0]} more than once")
    if first is not None and first != seeds[0]:
        raise SettingError(
            f"train.seed: {first} contradicts {NAME}=[{','.join(map(str, seeds))}]; leave one of them out, or give how "
            f"many to train from it on, as in {NAME}={len(seeds)} train.seed={first}"
        )
    return seeds


def written_down(cfg: DictConfig, seeds: Sequence[int]) -> DictConfig:
    """Return the settings with the seeds in them, so that the run can be made again."""
    cfg = cfg.copy()
    cfg.train.seed = seeds[0]
    if cfg.train.get("seeds") is not None:
        cfg.train.seeds = list(seeds)
    return cfg


def check_kept(cfg: DictConfig, saved: DictConfig) -> None:
    """Refuse other seeds for a run that is resumed.

    Raises:
        SettingError: if the settings ask for other seeds than the saved ones.
    """
    if saved.train.get("seed") is None:
        return
    before = choose(saved)
    try:
        is_same = choose(cfg) == before
    except SettingError:
        is_same = False
    if not is_same:
        several = cfg.train.get("seeds") is not None
        raise SettingError(
            f"{NAME if several else 'train.seed'}: can't change when a run is resumed; it trains "
            f"{'the seeds' if len(before) > 1 else 'the seed'} {listed(before)}; start a new run by leaving resume= out"
        )
