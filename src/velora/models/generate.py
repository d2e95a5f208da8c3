"""Write ``keywords.py``: what constructors and ``train`` take, for type checkers, editors and the command line.

Type checkers can't follow ``**settings`` to a class of settings, and the command line has no time to import PyTorch and
pydantic for its help. Both read a copy, which ``make generate`` writes and a test compares with the settings.
"""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from velora.callbacks import SaveCheckpoints
from velora.checkpoint.registry import agents
from velora.core.docstrings import argument_meanings
from velora.models import Agent
from velora.models.options import GROUPS, REQUIRED, Option, Settings
from velora.models.settings import RunArguments
from velora.models.signatures import run_arguments

TARGET = Path(__file__).with_name("keywords.py")
_WIDTH = 120
_HEAD = '''\
"""Keyword arguments of constructors and ``train``: type, group, default, meaning. Written by ``make generate``."""

# fmt: off
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

if TYPE_CHECKING:
    import torch
'''


class Keyword(NamedTuple):
    """One keyword; ``kind`` is its type as it is written."""

    name: str
    kind: str
    group: str
    default: Any
    meaning: str

    def lines(self) -> Iterator[str]:
        """Write it on one line, or with the meaning on lines of its own."""
        meaning = [_value(part) for part in textwrap.wrap(self.meaning, _WIDTH - 12, drop_whitespace=False)]
        start = f"    {self.name}: Annotated[{self.kind}, {_value(self.group)}, {_value(self.default)},"
        if len(whole := f"{start} {meaning[0]}]") <= _WIDTH and len(meaning) == 1:
            yield whole
        else:
            yield start
            yield from (f"        {part}" for part in meaning[:-1])
            yield f"        {meaning[-1]}]"


def keywords_file() -> str:
    """Write the whole file."""
    ours = {key: agents.get(key) for key in agents if agents.get(key).__module__.startswith("velora.")}
    kinds = list(dict.fromkeys(kind for cls in ours.values() for kind in _lineage(cls.settings_type)))
    sizes = [_of_option(one) for one in kinds[0].options() if one.default is REQUIRED]
    blocks = [
        _HEAD,
        _typed_dict("SizeKeywords", (), "Sizes, which are given in this order and have no default.", sizes),
        _typed_dict("RunKeywords", (), RunArguments.__doc__, map(_of_run_argument, run_arguments())),
        *_settings_blocks(kinds),
        _of_callable("train", Agent.train, without=("self", "env", "callbacks", "logger", "run_dir", "resume")),
        _of_callable("checkpoint", SaveCheckpoints.__init__, without=("self", "directory")),
    ]
    rows = [f'    "{key}": ("velora.models.{cls.__name__}", {_name(cls.settings_type)}),' for key, cls in ours.items()]
    table = "\n".join(["AGENTS: dict[str, tuple[str, Any]] = {", *rows, "}"])
    groups = f'GROUPS = {_value(GROUPS)}\n"""Groups of settings, in the order in which they are listed."""'
    return "\n\n".join([*blocks, f'{table}\n"""Class and keywords of each agent."""\n{groups}\n'])


def _lineage(kind: type[Settings]) -> Iterable[type[Settings]]:
    """List a class of settings after those that it extends."""
    return [one for one in reversed(kind.__mro__) if issubclass(one, Settings) and one is not Settings]


def _settings_blocks(kinds: Sequence[type[Settings]]) -> Iterator[str]:
    """Write each setting once, in the highest class below which nobody declares it another way."""
    placed: dict[type[Any], set[Keyword]] = {Settings: set()}
    for kind in kinds:
        base, heirs = kind.__bases__[0], [other for other in kinds if issubclass(other, kind)]
        found = [_of_option(one) for one in kind.options() if one.default is not REQUIRED]
        common = set(found).intersection(*([_of_option(one) for one in heir.options()] for heir in heirs))
        own = [keyword for keyword in found if keyword in common - placed[base]]
        placed[kind] = placed[base] | common
        above = "RunKeywords" if base is Settings else _name(base)
        yield _typed_dict(_name(kind), (above,), kind.__doc__, own)


def _of_callable(name: str, function: Callable[..., Any], *, without: Collection[str]) -> str:
    """Write the arguments of a function from its signature and the ``Args:`` of its docstring."""
    doc = inspect.getdoc(function) or ""
    meanings = argument_meanings(doc)
    keywords = [
        Keyword(p.name, p.annotation, name, REQUIRED if p.default is p.empty else p.default, meanings[p.name])
        for p in inspect.signature(function).parameters.values()
        if p.name not in without
    ]
    return _typed_dict(f"{name.capitalize()}Keywords", (), doc.partition("\n")[0], keywords)


def _typed_dict(name: str, above: Sequence[str], doc: str | None, keywords: Iterable[Keyword]) -> str:
    lines = [line for keyword in keywords for line in keyword.lines()]
    bases = ", ".join(above or ("TypedDict",))
    return "\n".join([f"class {name}({bases}, total=False):", f'    """{doc}"""', "", *lines, ""])


def _of_option(one: Option) -> Keyword:
    return Keyword(one.name, _type(one.accepted), one.group, one.default, one.text)


def _of_run_argument(one: Option) -> Keyword:
    kind = RunArguments.__annotations__[one.name]
    return Keyword(one.name, f'"{kind}"' if "torch" in kind else kind, one.group, one.default, one.text)


def _name(kind: type[Settings]) -> str:
    return f"{kind.__name__.removesuffix('Settings')}Keywords"


def _type(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"Literal[{', '.join(map(_value, parts))}]"
    if origin in (Union, UnionType):
        return " | ".join(map(_type, parts))
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(_type, parts))}]"
    return "None" if kind is type(None) else str(kind.__name__)


def _value(value: Any) -> str:
    if value is REQUIRED:
        return "..."
    if isinstance(value, str):
        return json.dumps(value)
    return f"{value:_}" if type(value) is int and value >= 1_000 else repr(value)


if __name__ == "__main__":
    TARGET.write_text(keywords_file())
    sys.stdout.write(f"wrote {TARGET}\n")
