"""The two budgets of a run, episodes and environment steps: the one that is used up first ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from velora.cli.command.arguments import Arguments

EPISODES, STEPS = "train.n_episodes", "train.n_steps"


def count_alone(arguments: Arguments) -> Arguments:
    """If the command line sets one budget, switch off the other one, which was recommended or saved.

    Otherwise ``train.n_episodes=300`` could end after fewer episodes, because an environment's file recommends a number
    of steps. Where the command line sets both, both count.
    """
    episodes, steps = _is_set(arguments, EPISODES), _is_set(arguments, STEPS)
    if episodes == steps:
        return arguments
    # An episode has one step at least, so as many episodes as steps are never the first to be used up.
    other = f"{STEPS}=null" if episodes else f"{EPISODES}=${{{STEPS}}}"
    return replace(arguments, overrides=(*arguments.overrides, other))


def is_added(override: str) -> bool:
    """Return whether an override, as Hydra writes it, is one that :func:`count_alone` adds."""
    return override.replace("\\", "") in (f"{STEPS}=null", f"{EPISODES}=${{{STEPS}}}")


def implied(changed: Mapping[str, Any]) -> str | None:
    """Return which of two changed budgets :func:`count_alone` sets if the other one is typed alone."""
    if EPISODES not in changed or STEPS not in changed:
        return None
    if changed[STEPS] is None:
        return STEPS
    return EPISODES if changed[EPISODES] == changed[STEPS] else None


def asked(cfg: DictConfig) -> dict[str, int | None]:
    """Return how long a run is to be, as its result says it."""
    return {"n_episodes": cfg.train.n_episodes, "n_steps": cfg.train.n_steps}


def doubled(cfg: DictConfig, *, episode: int, step: int) -> str:
    """Write the setting that doubles the budget of which a run has used the greater share."""
    n_episodes, n_steps = cfg.train.n_episodes, cfg.train.n_steps
    if n_steps is not None and step / n_steps >= episode / n_episodes:
        return f"{STEPS}={2 * n_steps}"
    return f"{EPISODES}={2 * n_episodes}"


def _is_set(arguments: Arguments, name: str) -> bool:
    """Return whether the command line sets a budget; one that is null or not positive sets none."""
    given = [override for override in arguments.parsed() if override.key_or_group == name]
    if not given or given[-1].is_delete():
        return False
    value = given[-1].value()
    return value is not None and not (isinstance(value, int) and value < 1)
