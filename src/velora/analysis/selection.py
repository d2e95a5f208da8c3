"""Choose runs by a condition, and order them: ``env=hopper status=finished``, ``-return``."""

from __future__ import annotations

import fnmatch
import json
import math
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from velora.analysis.columns import COLUMNS
from velora.analysis.run import Run
from velora.analysis.status import STATUSES
from velora.core.errors import SettingError
from velora.core.names import did_you_mean

Test: TypeAlias = Callable[[Run], bool]

_WORD = re.compile(r"(?P<name>[^=!<>]+)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)
_EXAMPLE = "as in where='env=hopper status=finished return>-200'"


def parse(condition: str, settings: Sequence[str]) -> list[Test]:
    """Read a condition; see :meth:`velora.analysis.collection.Runs.where`.

    Args:
        condition: its words.
        settings: the settings that a word may name.

    Raises:
        SettingError: if a word can't be read, or names nothing.
    """
    try:
        words = shlex.split(condition)
    except ValueError as error:
        raise SettingError(f"where: {condition}: {str(error).lower()}; close it, {_EXAMPLE}") from None
    return [_test(word, settings) for word in words]


def ordered(runs: Sequence[Run], name: str, settings: Sequence[str]) -> list[Run]:
    """Order runs by a column or setting, ``-`` before it for the largest first; those without a value come last.

    Raises:
        SettingError: if there is no such column or setting.
    """
    of = getter(name.removeprefix("-"), settings, word="sort")
    known = [run for run in runs if _is_known(of(run))]
    return [
        *sorted(known, key=lambda run: _sort_key(of(run)), reverse=name.startswith("-")),
        *(run for run in runs if not _is_known(of(run))),
    ]


def getter(name: str, settings: Sequence[str], *, word: str) -> Callable[[Run], Any]:
    """Return what gives a run's value of a column or setting.

    Args:
        name: of a column, or of a setting, whose last part is enough where it is the only one.
        settings: the settings there are.
        word: the word of the command line that asks, for the error.

    Raises:
        SettingError: if there is none, or several settings end so.
    """
    if name in COLUMNS:
        return COLUMNS[name].value
    if name == "seed":
        return COLUMNS["seeds"].value
    full = full_name(name, settings, word=word, others=tuple(COLUMNS))
    return lambda run: run.settings.get(full)


def full_name(name: str, settings: Sequence[str], *, word: str, others: Sequence[str] = ()) -> str:
    """Return the full name of a setting, whose last part is enough where it is the only one.

    Args:
        name: of the setting.
        settings: the settings there are.
        word: the word of the command line that asks, for the error.
        others: names beside settings that would have done, for the error.

    Raises:
        SettingError: if there is none, or several settings end so.
    """
    found = [name] if name in settings else [full for full in settings if full.rpartition(".")[2] == name]
    if len(found) > 1:
        raise SettingError(f"{word}: {name} may be {' or '.join(found)}; write one of them")
    if not found:
        hint = did_you_mean(name, [*others, *settings], f"there are {', '.join(others)}, and settings by name")
        raise SettingError(f"{word}: no column {name!r}; {hint}")
    return found[0]


def _test(word: str, settings: Sequence[str]) -> Test:
    match = _WORD.fullmatch(word)
    if match is None:
        raise SettingError(f"where: {word}: expected name=value, {_EXAMPLE}")
    name, sign, value = match["name"].strip(), match["sign"], match["value"]
    of = getter(name, settings, word="where")
    if sign in ("=", "!="):
        if name == "status":
            _check_statuses(value)
        return lambda run: _is_one_of(name, of(run), value) is (sign == "=")
    try:
        limit = float(value)
    except ValueError:
        raise SettingError(f"where: {word}: expected a number after {sign}, got {value!r}") from None
    return lambda run: _compare(of(run), sign, limit)


def _check_statuses(value: str) -> None:
    """Refuse a status that there isn't."""
    for name in value.split(","):
        if "*" not in name and name not in STATUSES:
            hint = did_you_mean(name, STATUSES, f"expected one of {', '.join(STATUSES)}")
            raise SettingError(f"where: no status {name!r}; {hint}")


def _is_one_of(name: str, own: Any, value: str) -> bool:
    if isinstance(own, list | tuple) and not value.startswith("["):
        return any(_is_one_of(name, one, value) for one in own)
    text = "null" if own is None else own if isinstance(own, str) else json.dumps(own, default=str)
    wanted = [value] if value.startswith("[") else value.split(",")
    return any(_is_alike(text, one) or (name == "env" and _plain(text) == _plain(one)) for one in wanted)


def _is_alike(text: str, wanted: str) -> bool:
    try:
        return float(text) == float(wanted)
    except ValueError:
        return text == wanted or fnmatch.fnmatchcase(text.lower(), wanted.lower())


def _plain(environment: str) -> str:
    """Return the name of an environment without what ids add: ``InvertedPendulum-v5`` is ``inverted_pendulum``."""
    name = re.sub(r"-v\d+$", "", environment.rpartition("/")[2].rpartition(":")[2])
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _compare(own: Any, sign: str, limit: float) -> bool:
    if isinstance(own, bool) or not isinstance(own, int | float):
        return False
    return {"<": own < limit, "<=": own <= limit, ">": own > limit, ">=": own >= limit}[sign]


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Order numbers by size and before texts, so that settings of mixed kinds can be ordered too."""
    if isinstance(value, int | float):
        return 0, value, ""
    return 1, 0.0, str(value)
