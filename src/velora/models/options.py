"""Declare settings, each with its default, its domain and its meaning, and check the values given for them."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, Union, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from velora.core.errors import SettingError
from velora.core.names import did_you_mean

Group: TypeAlias = Literal[
    "policy", "observation", "normalisation", "critic", "learning", "experience", "exploration", "run"
]
"""Settings that belong together, in the order in which they are listed."""
GROUPS: Final[tuple[str, ...]] = get_args(Group)
REQUIRED: Final = ...
"""Default of a setting that has to be given."""
Rules: TypeAlias = Sequence[Callable[[Any], str | None]]
"""Functions that say what is wrong with settings; the first problem is the one that is raised."""


def option(
    default: Any,
    meaning: str,
    *,
    group: Group,
    see: str | None = None,
    structural: bool = False,
    takes_classes: bool = False,
    live: bool = False,
    **domain: Any,
) -> Any:
    """Declare a setting, or an argument that every constructor takes.

    Args:
        default: its value where none is given; :data:`REQUIRED` has none.
        meaning: one plain phrase with the unit, for ``help()``, ``velora train --help`` and the documentation. Choices
            and bounds are added by themselves.
        group: settings that it is listed with.
        see: page below ``docs/`` that tells more, such as ``"guide/liquid-cells.md#the-cells"``.
        structural: whether weights that were learned under one value mean something else under another; a checkpoint is
            then refused by an agent with another one.
        takes_classes: whether a constructor takes a class of one's own too; a validator turns it into its name.
        live: whether ``training_step`` reads it at every update, so that a schedule may change it along training.
        domain: bounds as pydantic knows them: ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, ``max_length``.
    """
    extra: Any = {"group": group, "see": see, "structural": structural, "live": live, "takes_classes": takes_classes}
    return Field(default, description=meaning, json_schema_extra=extra, **domain)


@dataclass(frozen=True)
class Option:
    """A setting as it was declared.

    Attributes:
        kind: its type; sequences are tuples.
        default: :data:`REQUIRED` where it has none.
        structural: whether weights that were learned under one value mean something else under another.
        live: whether ``training_step`` reads it at every update.
        bounds: of a number, in words; empty where there are none.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    group: str
    see: str | None
    structural: bool
    live: bool
    bounds: str
    takes_classes: bool = False

    @classmethod
    def read(cls, name: str, field: FieldInfo, kind: Any) -> Option:
        """Read it from a field; one that was declared without :func:`option` has no meaning that could be shown."""
        more: Any = field.json_schema_extra or {"group": GROUPS[0], "see": None}
        default = REQUIRED if field.is_required() else field.get_default(call_default_factory=True)
        own = {"group": more["group"], "see": more["see"]} | {
            key: more.get(key, False) for key in ("structural", "live", "takes_classes")
        }
        return cls(name, kind, default, field.description or "", **own, bounds=_bounds(field))

    @property
    def accepted(self) -> Any:
        """Type of the values that a constructor takes for it."""
        own = _accepted(self.kind)
        return own | type if self.takes_classes else own

    @property
    def choices(self) -> tuple[Any, ...]:
        """Values that it chooses from, where there are some to choose from."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def text(self) -> str:
        """Meaning with choices and bounds, in a docstring's markup."""
        named = all(f"``{choice}``" in self.meaning for choice in self.choices)
        *first, last = [f"``{choice}``" for choice in self.choices] or [""]
        choices = "" if named else f": {', '.join(first)} or {last}"
        return f"{self.meaning}{choices}{f' ({self.bounds})' if self.bounds else ''}".lstrip()


class Settings(BaseModel):
    """Settings of an agent as a checkpoint stores them: strict, frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    rules: ClassVar[Rules] = ()
    """Rules for settings that have to fit together, besides those of the classes above."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for kind in reversed(type(self).__mro__):
            for rule in vars(kind).get("rules", ()):
                if problem := rule(self):
                    raise ValueError(problem)
        return self

    @classmethod
    def check(cls, values: Mapping[str, Any], *, beside: Iterable[str] = ()) -> Self:
        """Validate the settings given to a constructor.

        Args:
            values: the settings.
            beside: other names that the constructor takes, which may have been meant by one that nobody knows.

        Raises:
            SettingError: one line that names the first setting at fault.
        """
        try:
            return cls.model_validate({name: plain(value) for name, value in values.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            problem = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:  # of settings that don't fit together, whose text names them
                raise SettingError(problem) from None
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                known = [*cls.model_fields, *beside]
                hint = did_you_mean(name, known, f"there are {', '.join(known)}")
                raise SettingError(f"{name}: no such setting; {hint}") from None
            problem = problem[:1].lower() + problem[1:]
            received = "" if first["type"] == "value_error" else f", got {first['input']!r:.200}"
            raise SettingError(f"{name}: {problem}{received}") from None

    @classmethod
    def options(cls) -> list[Option]:
        """List the settings, those of a group together."""
        found = [Option.read(name, field, field.annotation) for name, field in cls.model_fields.items()]
        return sorted(found, key=lambda one: GROUPS.index(one.group))

    @classmethod
    def changed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those values that aren't the defaults of this class; sizes have none, and so are left out.

        Args:
            values: of an agent, or of a checkpoint's JSON; settings that this class doesn't have are among the changed.
        """
        usual = {one.name: one.default for one in cls.options()}
        return {
            name: value
            for name, value in values.items()
            if name not in usual or (usual[name] is not REQUIRED and plain(value) != usual[name])
        }

    @classmethod
    def again(cls, name: str, default: Any = None, meaning: str | None = None) -> Any:
        """Declare a setting of this class once more in a subclass, with another default, or another meaning.

        Args:
            name: the setting.
            default: its default there; ``None`` leaves it.
            meaning: its meaning there; ``None`` leaves it.
        """
        field = copy.copy(cls.model_fields[name])
        field.default = field.default if default is None else default
        field.description = meaning or field.description
        return field


def plain(value: Any) -> Any:
    """Turn NumPy scalars, and lists as JSON and Hydra give them, into what the settings hold."""
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def _accepted(kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return Sequence[get_args(kind)[0]]  # type: ignore[misc]
    if get_origin(kind) in (Union, UnionType):
        return functools.reduce(operator.or_, map(_accepted, get_args(kind)))
    return kind


def _bounds(field: FieldInfo) -> str:
    """Word the bounds of a number: ``0.1 to 0.9``, ``above 0, at most 1``."""
    found = {key: getattr(one, key) for one in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(one, key)}
    said = {key: f"{value:,}" if isinstance(value, int) else f"{value:g}" for key, value in found.items()}
    if "ge" in said and "le" in said:
        return f"{said['ge']} to {said['le']}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[key]} {said[key]}" for key in ("gt", "ge", "lt", "le") if key in said)
