"""Settings of the command line that are arguments of the code, read from ``velora.models.keywords``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field, make_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

from omegaconf import MISSING

from velora.models.keywords import AGENTS, GROUPS, RunKeywords, SizeKeywords

_FROM_ELSEWHERE: Final = ("discrete", *RunKeywords.__annotations__)
"""Arguments of an agent's constructor that the environment decides, or another group of settings."""


def told(default: Any, meaning: str) -> Any:
    """Declare a setting with what it means."""
    if isinstance(default, tuple):
        return field(default_factory=lambda: list(default), metadata={"meaning": meaning})
    return field(default=MISSING if default is ... else default, metadata={"meaning": meaning})


def taken(keywords: Any, name: str, meaning: str | None = None) -> Any:
    """Declare a setting with the default of an argument, and with its meaning unless that is another one here."""
    _, default, there = keywords.__annotations__[name].__metadata__
    return told(default, meaning or there)


def arguments(keywords: Any, *, without: Collection[str] = ()) -> list[tuple[str, Any, Any]]:
    """Make the fields of a dataclass from arguments, those of a group together."""
    listed = [(name, hint) for name, hint in keywords.__annotations__.items() if name not in without]
    listed.sort(key=lambda one: [*GROUPS, one[1].__metadata__[0]].index(one[1].__metadata__[0]))
    return [(name, _node_type(hint.__origin__), taken(keywords, name)) for name, hint in listed]


def _node_type(kind: Any) -> Any:
    """Return the type that OmegaConf knows for what a constructor accepts."""
    if get_origin(kind) is Literal:
        return type(get_args(kind)[0])
    if get_origin(kind) in (UnionType, Union):
        known = next(part for part in get_args(kind) if part is not NoneType)
        return _node_type(known) | None if NoneType in get_args(kind) else _node_type(known)
    return list[get_args(kind)] if get_origin(kind) is Sequence else kind  # type: ignore[misc]


def _agent_schema(target: str, keywords: Any) -> type:
    """Make the class of an agent's settings; ``image`` is a shape, or ``false`` to see none."""
    fields: list[Any] = [("_target_", str, target), ("n_neurons", int, taken(SizeKeywords, "n_neurons"))]
    for name, kind, value in arguments(keywords, without=_FROM_ELSEWHERE):
        fields.append((name, Any if name == "image" else kind, value))
    made = make_dataclass(f"{target.rpartition('.')[2]}Schema", fields)
    made.__module__ = __name__  # where pickle looks for it
    return made


AGENT_SCHEMAS: Final = {key: _agent_schema(target, keywords) for key, (target, keywords) in AGENTS.items()}
"""Settings of every agent that comes with Velora."""
globals().update({schema.__name__: schema for schema in AGENT_SCHEMAS.values()})
