"""What ``logger=`` may be: names, settings by name, loggers, or several of these."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from velora.core.errors import SettingError
from velora.core.extras import how_to_install
from velora.core.names import did_you_mean
from velora.training.loggers.facts import Facts
from velora.training.loggers.kinds import KINDS, NamedKind

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FORM = "a name, several in a list, settings by name, loggers of Lightning's, True (csv) or None"
_METHODS = ("log_metrics", "log_hyperparams", "finalize")

Asked: TypeAlias = "Logger | str | bool | Mapping[str, Mapping[str, Any]] | Plan | Sequence[Logger | str | Plan] | None"
"""What a user may give."""


@dataclass(frozen=True)
class Plan:
    """A logger that is made once the run has an id.

    Attributes:
        label: how errors call it, as the user wrote it.
        kind: what Velora knows of it.
        given: the user's keywords.
        make: makes it from all keywords.
        group: the sweep that the run is a job of, if any.
    """

    label: str
    kind: NamedKind
    given: Mapping[str, Any]
    make: Callable[..., Logger]
    group: str | None = None

    def keywords(self, facts: Facts) -> dict[str, Any]:
        """Return all keywords but ``log_model``, which is Velora's: those that are None are left to Velora too."""
        given = {name: value for name, value in self.given.items() if value is not None and name != "log_model"}
        return {name: value for name, value in self.kind.keywords(facts, given).items() if value is not None}


def plan(
    kind: type[NamedKind],
    given: Mapping[str, Any],
    *,
    label: str,
    make: Callable[..., Logger],
    group: str | None = None,
) -> Plan:
    """Plan a logger of a kind.

    Raises:
        SettingError: if its package isn't installed, or ``log_model`` is none of its values.
    """
    if kind.needs and not any(importlib.util.find_spec(package) for package in kind.needs):
        raise SettingError(f"{label}: needs {kind.needs[0]}, which isn't installed; {how_to_install(kind.name)}")
    made = kind()
    wish = given.get("log_model") or None
    if wish not in (None, True, "all"):
        raise SettingError(f"{label}: log_model: expected False, True (best and final) or 'all', got {wish!r}")
    made.sends_checkpoints = "last" if wish is True else wish
    return Plan(label, made, given, make, group)


def asked_for(given: Asked) -> list[Plan | Logger]:
    """Read what the user gave as ``logger``.

    Raises:
        SettingError: if it is something else, or a package isn't installed.
    """
    found: list[Plan | Logger] = []
    for one in _listed(given):
        if isinstance(one, str):
            found.append(_named(one, {}))
        elif isinstance(one, Mapping):
            found += [_named(name, settings) for name, settings in one.items()]
        else:
            found.append(_checked(one))
    counts = Counter(one.kind.name for one in found if isinstance(one, Plan))
    for name, count in counts.items():
        if count > 1:
            raise SettingError(f"logger: {name!r} is there {count} times; once is enough")
    return found


def _listed(given: Any) -> list[Any]:
    if given is None or given is False:
        return []
    if given is True:
        return ["csv"]
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        return [given]
    return list(given)


def _named(name: Any, settings: Any) -> Plan:
    if not isinstance(name, str) or name not in KINDS:
        names = ", ".join(KINDS)
        hint = did_you_mean(str(name), KINDS, f"expected one of {names}, or a logger", written=repr)
        raise SettingError(f"logger: there is none called {name!r}; {hint}")
    settings = {} if settings is None else settings
    if not isinstance(settings, Mapping):
        raise SettingError(f"logger: expected settings of {name!r} as {{name: value}}, got {settings!r}")
    kind, label = KINDS[name], f"logger: {name!r}"

    def make(**keywords: Any) -> Logger:
        target = locate(kind)
        try:
            inspect.signature(target).bind(**keywords)
        except TypeError as error:
            raise SettingError(f"{label}: {error}") from None
        made: Logger = target(**keywords)
        return made

    return plan(kind, settings, label=label, make=make)


def _checked(one: Any) -> Any:
    """Return a logger, if it has the shape of one."""
    if isinstance(one, Plan) or (not isinstance(one, type) and all(hasattr(one, method) for method in _METHODS)):
        return one
    hint = " (a class: add parentheses)" if isinstance(one, type) else ""
    raise SettingError(f"logger: expected {_FORM}, got {one!r}{hint}")


def locate(kind: type[NamedKind]) -> type:
    """Import the class of a kind."""
    module, _, name = kind.target.partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found
