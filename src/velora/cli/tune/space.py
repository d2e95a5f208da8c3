"""A search space, written in Hydra's own words: interval, range, choice, and tag(log, ...)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from velora.core.errors import SettingError

Number: TypeAlias = int | float
MOST_VALUES = 1000


@dataclass(frozen=True)
class Interval:
    """Numbers from ``low`` to ``high``, both ends among them: whole ones if the ends are, and multiples of ``step``."""

    low: Number
    high: Number
    step: Number | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """Return whether all numbers are whole."""
        return isinstance(self.low, int)

    def __str__(self) -> str:
        """Write it in Hydra's words."""
        ends = f"{self.low!r},{self.high!r}"
        if self.step is not None:
            text = f"range({self.low!r},{self.high + self.step!r},{self.step!r})"
        else:
            text = f"int(interval({ends}))" if self.is_whole else f"interval({ends})"
        return f"tag(log,{text})" if self.is_log else text

    @property
    def examples(self) -> tuple[str, ...]:
        """The ends, as they are written on the command line."""
        return repr(self.low), repr(self.high)

    def distribution(self) -> Any:
        """Return the same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.is_log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.is_log, step=self.step)


@dataclass(frozen=True)
class Choice:
    """Some values as they are written on the command line, so that lists, dictionaries and null can be among them."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        """Write it in Hydra's words."""
        return ",".join(self.values) if len(self.values) > 1 else f"choice({self.values[0]})"

    @property
    def examples(self) -> tuple[str, ...]:
        """All of them."""
        return self.values

    def distribution(self) -> Any:
        """Return the same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)


Dimension: TypeAlias = Interval | Choice
Space: TypeAlias = Mapping[str, Dimension]
"""A dimension for each setting that is searched, by its full name, with the ``+`` of one that is added."""


def parse(overrides: Sequence[Override]) -> dict[str, Dimension]:
    """Take the search space out of a command line: the settings that have several values.

    Raises:
        SettingError: if one of them can't be searched.
    """
    found: dict[str, Dimension] = {}
    for override in overrides:
        if override.is_sweep_override():
            name = override.get_key_element()
            if name in found:
                raise SettingError(f"{name}: its values are given twice; leave one of them out")
            found[name] = _dimension(name, override)
    return found


def words(space: Space, params: Mapping[str, Any]) -> Iterator[str]:
    """Write the settings of one trial as a command line has them.

    Args:
        params: a value for each dimension, as Optuna has drawn it.
    """
    for name, dimension in space.items():
        value = params[name]
        yield f"{name}={value if isinstance(dimension, Choice) else repr(value)}"


def _dimension(name: str, override: Override) -> Dimension:
    found: Any = override.value()
    given = f"{name}: {override.get_value_string()}"
    if isinstance(found, IntervalSweep):
        return _interval(given, found.start, found.end, is_log=_is_log(given, found.tags))
    if isinstance(found, RangeSweep):
        return _range(given, found)
    if isinstance(found, ChoiceSweep):
        if found.tags:
            raise SettingError(f"{given}: choices have no order, so none has a tag; expected choice(...) alone")
        values = tuple(override.sweep_string_iterator())
        if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
            raise SettingError(f"{given}: expected each choice once, got {twice[0]} more than once")
        return Choice(tuple(sorted(values) if found.shuffle else values))
    raise SettingError(f"{given}: can't be searched; name the choices, as in {name}=choice(a,b)")


def _is_log(given: str, tags: set[str]) -> bool:
    if unknown := tags - {"log"}:
        raise SettingError(f"{given}: expected the tag log, got {sorted(unknown)[0]}")
    return bool(tags)


def _interval(given: str, low: Any, high: Any, *, is_log: bool) -> Interval:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SettingError(f"{given}: expected finite ends")
    if low >= high:
        raise SettingError(f"{given}: expected the lower end first, and a higher one after it")
    if is_log and low <= 0:
        raise SettingError(f"{given}: a logarithm needs a lower end above 0, got {low:g}; take 1e-6, or leave log out")
    return Interval(low, high, is_log=is_log)


def _range(given: str, found: RangeSweep) -> Interval:
    """Read a range, whose stop is not among its values, whichever way it runs."""
    if not found.step:
        raise SettingError(f"{given}: expected a step that isn't 0")
    n_values = math.ceil(round((found.stop - found.start) / found.step, 9))  # type: ignore[operator]
    if n_values < 2:
        raise SettingError(f"{given}: expected at least two values, got {max(0, n_values)}; its end isn't one of them")
    ends = (_rounded(found.start), _rounded(found.start + (n_values - 1) * found.step))  # type: ignore[operator]
    if not all(isinstance(value, int) for value in (*ends, found.step)):
        ends = (float(ends[0]), float(ends[1]))
    interval, step = _interval(given, min(ends), max(ends), is_log=_is_log(given, found.tags)), abs(found.step)
    if interval.is_log and not (interval.is_whole and step == 1):
        raise SettingError(f"{given}: a logarithmic range has no step; expected tag(log,interval(...))")
    if interval.is_log:
        return interval
    return Interval(interval.low, interval.high, step if interval.is_whole else float(step))


def _rounded(value: Any) -> Number:
    """Take the error of binary fractions away: ten steps of 0.1 are 1."""
    return value if isinstance(value, int) else float(f"{value:.12g}")
