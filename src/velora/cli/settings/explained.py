"""Meanings of the settings, as comments beside those that ``--help`` prints."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping

from velora.cli.settings.fields import AGENT_SCHEMAS
from velora.cli.settings.schema import TrainConfig
from velora.models.keywords import AGENTS

_COLUMN, _WIDTH = 32, 120
_SETTING = re.compile(r"(?P<indent> *)(?P<name>\w+):(?: (?P<value>.*))?")


def explain(text: str, config: type, more: Mapping[str, str] | None = None) -> str:
    """Put a comment beside each setting that a schema explains.

    Args:
        text: settings as YAML, maybe among other lines.
        config: the dataclass of all of them, one of :data:`velora.cli.settings.schema.CONFIGS`.
        more: meanings of settings that no schema explains, by their full names.
    """
    known = {**meanings(text, config), **(more or {})}
    path: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        found = _SETTING.fullmatch(line)
        if found:
            path[len(found["indent"]) // 2 :] = [found["name"]]
        meaning = known.get(".".join(path)) if found else None
        lines += [line] if meaning is None else _commented(line, meaning)
    return "\n".join(lines) + "\n"


def meanings(text: str, config: type = TrainConfig) -> Mapping[str, str]:
    """Name what every setting means, those of the agent by the class that the text names."""
    known = dict(_walk(config, ""))
    for key, (target, _) in AGENTS.items():
        if f"_target_: {target}\n" in text:
            known |= _walk(AGENT_SCHEMAS[key], "agent.")
    return known


def _walk(schema: type, prefix: str) -> Iterator[tuple[str, str]]:
    kinds = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if meaning := field.metadata.get("meaning"):
            yield f"{prefix}{field.name}", meaning
        if dataclasses.is_dataclass(kind := kinds[field.name]):
            yield from _walk(typing.cast(type, kind), f"{prefix}{field.name}.")


def _commented(line: str, meaning: str) -> Iterator[str]:
    """Write the meaning in the words of the command line, on as many lines as it takes."""
    column = max(_COLUMN, len(line) + 2)
    said = textwrap.wrap(meaning.replace("``None``", "null").replace("``", ""), _WIDTH - column - 2)
    yield f"{line.ljust(column)}# {said[0]}"
    yield from (f"{' ' * column}# {part}" for part in said[1:])
