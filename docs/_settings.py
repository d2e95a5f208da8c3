"""A hook of MkDocs: put tables of settings where a page asks for them, so that no page repeats a default or a meaning.

A page asks by ``<!-- settings: velora.models.LiquidDDPG -->`` or, for a group of the command line,
``<!-- settings: train -->``. What stands from there to ``<!-- end -->`` is for readers of the page's source.
"""

from __future__ import annotations

import importlib
import itertools
import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from hydra import compose
from omegaconf import OmegaConf

from velora import __version__
from velora.cli.command.compose import composing
from velora.cli.settings.explained import meanings
from velora.models.options import REQUIRED, Option
from velora.models.signatures import constructor_options

MARKER = re.compile(r"<!-- settings: (?P<target>\S+) -->\n.*?<!-- end -->", re.S)


def on_config(config: Any) -> Any:
    """Say at the foot of every page which version the site is of; MkDocs calls this first."""
    config.copyright = f"Velora {__version__}"
    return config


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Write the tables of a page; MkDocs calls this before it reads the page."""
    return rendered(markdown, page.file.src_uri)


def rendered(markdown: str, path: str) -> str:
    """Write the tables of a page.

    Args:
        markdown: the page's source.
        path: where it is below ``docs/``.
    """
    return MARKER.sub(lambda found: "\n".join(_table(found["target"], posixpath.dirname(path))), markdown)


def _table(target: str, folder: str) -> Iterator[str]:
    if "." not in target:
        yield from _rows(f"{target}.", _of_group(target))
        return
    module, _, name = target.rpartition(".")
    options = constructor_options(getattr(importlib.import_module(module), name).settings_type)
    for group, some in itertools.groupby(options, key=lambda one: one.group):
        yield from (f"**{group.capitalize()}**", "")
        yield from _rows("setting", [_of_option(one, folder) for one in some])
        yield ""


def _rows(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield from (f"| `{title}` | default | meaning |" if title.endswith(".") else f"| {title} | default | meaning |",)
    yield "|---|---|---|"
    yield from (f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows)


def _of_option(one: Option, folder: str) -> tuple[str, str, str]:
    default = json.dumps(one.default) if isinstance(one.default, str) else repr(one.default)
    more = f"; [more]({posixpath.relpath(one.see, folder)})" if one.see else ""
    return one.name, "" if one.default is REQUIRED else f"`{default}`", one.text.replace("``", "`") + more


def _of_group(group: str) -> list[tuple[str, str, str]]:
    """List a group's settings as ``velora train`` composes them from its files."""
    with composing():
        cfg = compose("train")
    text = OmegaConf.to_yaml(cfg)
    values, known = yaml.safe_load(text)[group], meanings(text)
    shown = {name: yaml.safe_dump(value).removesuffix("...\n").strip() for name, value in values.items()}
    said = {name: known[f"{group}.{name}"].replace("``None``", "`null`").replace("``", "`") for name in values}
    return [(name, f"`{value}`", said[name]) for name, value in shown.items()]
