"""Show the settings of an agent where Python and people look for them: in its signature and in its docstring."""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import get_type_hints

import torch

from velora.models.options import REQUIRED, Option, Settings
from velora.models.settings import RunArguments

_WIDTH = 112
_SECTION = re.compile(r"^(?:Attributes|Raises|Example|Source):$", re.M)


@cache
def run_arguments() -> tuple[Option, ...]:
    """List the arguments of every constructor that are no settings."""
    kinds = get_type_hints(RunArguments, localns={"torch": torch, "Sequence": Sequence})
    return tuple(Option.read(name, vars(RunArguments)[name], kind) for name, kind in kinds.items())


def constructor_options(settings_type: type[Settings]) -> list[Option]:
    """List what the constructor of an agent with these settings takes."""
    return [*settings_type.options(), *run_arguments()]


def show_settings(cls: type, settings_type: type[Settings]) -> None:
    """Put the settings into the signature of a class, in place of its ``**settings``, and into its docstring.

    A constructor without ``**settings`` stays as it is, and so does a docstring with ``Args:`` of its own.

    Args:
        cls: the class of an agent.
        settings_type: the class of its settings.
    """
    options = constructor_options(settings_type)
    _, *own = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    takes_settings = [p for p in own if p.kind is p.VAR_KEYWORD]
    if takes_settings:
        known = {option.name: option for option in options}
        own = [_typed(p, known.pop(p.name, None)) for p in own if p.kind is not p.VAR_KEYWORD]
        own += map(_parameter, known.values())
    cls.__signature__ = inspect.Signature(own, return_annotation=None)  # type: ignore[attr-defined]
    text = inspect.cleandoc(cls.__doc__ or "")
    if takes_settings and "\nArgs:" not in text:
        before, section, after = text.partition(next(iter(_SECTION.findall(text)), "\n\n\n"))
        cls.__doc__ = f"{before.rstrip()}\n\nArgs:\n{_lines(options)}\n\n{section}{after}".strip()


def _lines(options: Iterable[Option]) -> str:
    """Write what stands below ``Args:``."""
    wrapped = (textwrap.wrap(f"    {one.name}: {one.text}.", _WIDTH, subsequent_indent=" " * 8) for one in options)
    return "\n".join(itertools.chain.from_iterable(wrapped))


def _typed(parameter: inspect.Parameter, option: Option | None) -> inspect.Parameter:
    return parameter if option is None else parameter.replace(annotation=option.accepted)


def _parameter(option: Option) -> inspect.Parameter:
    """Make a parameter that is given by its name."""
    default = inspect.Parameter.empty if option.default is REQUIRED else option.default
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option.accepted)
