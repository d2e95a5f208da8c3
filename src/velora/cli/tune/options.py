"""The options of ``velora tune`` itself: how to search, and for what."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from hydra.core.override_parser.types import Override

from velora.analysis.statistics import Floats, interquartile_mean
from velora.core.errors import SettingError

STATISTICS: Final[Mapping[str, Callable[[Floats], Any]]] = {
    "mean": np.mean,
    "iqm": interquartile_mean,
    "median": np.median,
    "min": np.min,
}
"""What is made of the returns of a trial's seeds."""
FEWEST_IN_SEQUENCE: Final = 6
"""Seeds that Wilcoxon's test needs: after four a trial can be told from the best one, and something is left to save."""
COSTS: Final[tuple[str, ...]] = ("parameters", "ms_per_action")
"""What a policy costs: its wired parameters, and the milliseconds that it takes to choose an action."""


@dataclass(frozen=True)
class Options:
    """How to search, and for what; a study keeps all of them."""

    sampler: Literal["tpe", "gp", "random"] = "tpe"
    sampler_seed: int = 0
    statistic: Literal["mean", "iqm", "median", "min"] = "mean"
    value: Literal["final", "best", "mean"] = "final"
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = "none"
    minimise: tuple[str, ...] = ()
    max_parameters: int | None = None
    max_ms_per_action: float | None = None

    @property
    def directions(self) -> list[str]:
        """Return the direction of each objective: the return first."""
        return ["maximize", *["minimize"] * len(self.minimise)]

    @property
    def limits(self) -> dict[str, float]:
        """Return the greatest values of what a policy may cost."""
        given = {"parameters": self.max_parameters, "ms_per_action": self.max_ms_per_action}
        return {name: float(limit) for name, limit in given.items() if limit is not None}

    @property
    def is_in_sequence(self) -> bool:
        """Return whether the seeds of a trial train one after the other, so that those to come can be saved."""
        return self.pruner == "wilcoxon"

    def summarise(self, returns: Sequence[float]) -> float:
        """Make one number of the returns of all seeds."""
        return float(STATISTICS[self.statistic](np.asarray(returns, np.float64)))


@dataclass(frozen=True)
class Effort:
    """How long to search and with how many processes; these may change from command to command."""

    trials: int = 20
    workers: int | None = None


@dataclass(frozen=True)
class Places:
    """Directories and files that a command names."""

    study: str | None = None
    resume: str | None = None
    show: str | None = None
    out: str | None = None


@dataclass(frozen=True)
class Given:
    """The words of one command line that are not settings of a run.

    Attributes:
        named: the options that were written, by their names.
    """

    options: Options = field(default_factory=Options)
    effort: Effort = field(default_factory=Effort)
    places: Places = field(default_factory=Places)
    named: frozenset[str] = frozenset()


NAMES: Final = tuple(f.name for kind in (Options, Effort, Places) for f in dataclasses.fields(kind))


def read(overrides: Sequence[Override]) -> Given:
    """Read the options from a command line.

    Args:
        overrides: words whose names are in :data:`NAMES`.

    Raises:
        SettingError: if one is out of its domain, or they don't fit together.
    """
    given: dict[str, Any] = {}
    for override in overrides:
        name = override.key_or_group
        if override.is_sweep_override() or override.get_key_element() != name:
            raise SettingError(f"{name}: expected {name}=<one value>, got {override.input_line}")
        given[name] = override.value()
    options, effort, places = (_made(kind, given) for kind in (Options, Effort, Places))
    if options.minimise and options.pruner != "none":
        raise SettingError(
            f"pruner: {options.pruner} judges by the return alone; leave it out, or leave minimise= out and limit the "
            "cost instead, by max_parameters= or max_ms_per_action="
        )
    return Given(options, effort, places, frozenset(given))


def restored(saved: Mapping[str, Any]) -> Options:
    """Make options of what a study has saved of them.

    Raises:
        KeyError: if one is missing, or unknown.
        SettingError: if one is out of its domain.
    """
    if unlike := saved.keys() ^ {f.name for f in dataclasses.fields(Options)}:
        raise KeyError(min(unlike))
    options: Options = _made(Options, saved)
    return options


def _made(kind: Any, given: Mapping[str, Any]) -> Any:
    """Make one group of options of the values that were given."""
    return kind(**{f.name: _checked(kind, f.name, given[f.name]) for f in dataclasses.fields(kind) if f.name in given})


def _checked(kind: type, name: str, value: Any) -> Any:
    hint = typing.get_type_hints(kind)[name]
    if name == "minimise":
        return _costs(value)
    known = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    if known:
        if value not in known:
            raise SettingError(f"{name}: expected one of {', '.join(known)}, got {value}")
        return value
    accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and types.NoneType in accepted:
        return None
    if str in accepted:
        return str(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if float in accepted and is_number and value > 0:
        return float(value)
    least = 0 if name == "sampler_seed" else 1
    if int in accepted and is_number and isinstance(value, int) and value >= least:
        return value
    expected = "a number above 0" if float in accepted else f"a whole number of at least {least}"
    raise SettingError(f"{name}: expected {expected}, got {value}")


def _costs(value: Any) -> tuple[str, ...]:
    found = tuple(map(str, value if isinstance(value, list) else [value]))
    if value is None or found == ("none",):
        return ()
    if len(set(found)) < len(found) or not set(found) <= set(COSTS):
        raise SettingError(f"minimise: expected {', '.join(COSTS)}, or [{','.join(COSTS)}], got {value}")
    return found
