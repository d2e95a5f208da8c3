"""A JSON schema of all settings, by which editors complete and check files of one's own."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from velora.cli.settings.instantiate import import_class
from velora.cli.settings.schema import TrainConfig
from velora.core import disk
from velora.core.errors import RunDirectoryError, SettingError
from velora.models.keywords import AGENTS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{"}
"""A value that stands somewhere else, as ``${env.recommended.n_steps}``."""
_KINDS: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    types.NoneType: {"type": "null"},
    Any: {},
}
_ENTRIES = ("callbacks", "logger")
"""Groups of entries that each name a class."""


def settings_schema() -> dict[str, Any]:
    """Make the schema of a run's settings, ``config.yaml``: meanings, defaults, types, choices, bounds of the code."""
    parts = {field.name: _part(field.name, kind) for field, kind in _fields(TrainConfig)}
    title = "Settings of velora train"
    return {
        "$schema": _DIALECT,
        "title": title,
        "type": "object",
        "properties": parts,
        "additionalProperties": False,
    }


def group_schema(group: str) -> dict[str, Any]:
    """Make the schema of the files of one group, such as ``my_conf/env/mine.yaml``.

    Raises:
        SettingError: if a file of the group may set everything, as those of ``experiment``.
    """
    part: Any = {"properties": settings_schema()["properties"]}
    for name in group.split("/"):
        part = part["properties"].get(name)
        if part is None:
            raise SettingError(
                f"{group}: its files set what they like; leave the group out for a schema of all settings"
            )
    return {"$schema": _DIALECT, "title": f"Files in {group}", **part}


def write(schema: dict[str, Any], path: Path) -> None:
    """Write a schema to a file.

    Raises:
        RunDirectoryError: if that can't be written.
    """
    try:
        disk.write_text(path, json.dumps(schema, indent=2) + "\n")
    except OSError as error:
        raise RunDirectoryError(f"{path} can't be written ({error.strerror}); choose another schema=") from error


def _part(name: str, kind: Any) -> dict[str, Any]:
    if name == "agent":
        return {"anyOf": [*_agents(), {"type": "object", "required": ["_target_"], "properties": _own_agent()}]}
    if name in _ENTRIES:
        entries = {"anyOf": [_entry(), {"type": "null"}]}
        return {"type": "object", "properties": {"defaults": {"type": "array"}}, "additionalProperties": entries}
    return _of(kind)


def _fields(schema: Any) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
    kinds = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        yield field, kinds[field.name]


def _of(kind: Any) -> dict[str, Any]:
    """Make the schema of a type, as the dataclasses of settings have it."""
    if dataclasses.is_dataclass(kind):
        return _object({field.name: _of_field(field, own) for field, own in _fields(kind)})
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of(one) for one in of]}
    if origin is list:
        return {"type": "array", "items": _of(of[0])}
    if origin is dict:
        return {"type": "object"}
    return dict(_KINDS[kind])


def _of_field(field: dataclasses.Field[Any], kind: Any) -> dict[str, Any]:
    described = {"description": _plain(field.metadata["meaning"])} if field.metadata.get("meaning") else {}
    if field.default not in (dataclasses.MISSING, MISSING):
        described["default"] = field.default
    return _or_reference(_of(kind)) | described


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """Make the schema of settings that have these names and no others; a file may begin with a list of defaults."""
    return {
        "type": "object",
        "properties": {**properties, "defaults": {"type": "array"}},
        "additionalProperties": False,
    }


def _agents() -> Iterator[dict[str, Any]]:
    """Make the schema of every agent that comes with Velora, from the models that check their settings."""
    for key, (target, _) in AGENTS.items():
        properties: dict[str, Any] = {"_target_": {"const": target}}
        model = import_class(target, key).settings_type.model_json_schema()  # pydantic and PyTorch, imported now
        for name, one in model["properties"].items():
            if name in ("state_dim", "action_dim", "discrete"):  # the environment decides
                continue
            known = {word: value for word, value in one.items() if word not in _OF_PYDANTIC}
            told = {word: known.pop(word) for word in ("description", "default") if word in known}
            if name == "image":
                known = {"anyOf": [known, {"const": False}]}
            if name == "cell":
                known = {"anyOf": [known, {"type": "string", "pattern": r"\."}]}
            if "description" in told:
                told["description"] = _plain(told["description"])
            properties[name] = _or_reference(known) | told
        yield _object(properties) | {"title": target.rpartition(".")[2]}


_OF_PYDANTIC = ("title", "group", "see", "structural", "live", "takes_classes")


def _own_agent() -> dict[str, Any]:
    return {"_target_": {"type": "string", "not": {"pattern": r"^velora\."}}}


def _entry() -> dict[str, Any]:
    target = {"type": "string", "description": "the class to make, as module.Class"}
    return {"type": "object", "properties": {"_target_": target}}


def _or_reference(kind: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [kind, dict(_REFERENCE)]} if kind else {}


def _plain(meaning: str) -> str:
    return meaning.replace("``None``", "null").replace("``", "")
