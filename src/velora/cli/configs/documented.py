"""Documentation of groups, options and settings, read from the files and classes that define them."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from velora.cli.command.compose import composing, config_dir
from velora.cli.command.mistakes import one_line
from velora.cli.settings import groups, wrappers
from velora.cli.settings.explained import explain
from velora.cli.settings.instantiate import locate_class
from velora.cli.settings.schema import TrainConfig
from velora.core.docstrings import argument_meanings
from velora.core.errors import SettingError
from velora.core.names import nearest

_DEFAULT = re.compile(r" *- (?P<group>[\w/]+): [\w-]+ *# (?P<meaning>.+)")
_PACKAGE = "# @package"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of files, one of which is chosen.

    Attributes:
        default: the option that is chosen without a word; ``None`` if none is.
    """

    name: str
    meaning: str
    options: tuple[str, ...]
    default: str | None


def documented_groups(searched: Sequence[str] = ()) -> list[Group]:
    """List the groups that ``velora train`` chooses from, in the order of its file.

    Args:
        searched: directories of files of one's own.
    """
    known = {match["group"]: match["meaning"] for match in map(_DEFAULT.fullmatch, _lines()) if match}
    known |= {f"env/{group.name}": group.meaning.replace("``", "") for group in wrappers.GROUPS}
    used = groups.used(config_dir() / "train.yaml")
    with composing():
        cfg = compose("train", _searching(searched), return_hydra_config=True)
        loader, chosen = GlobalHydra.instance().config_loader(), cfg.hydra.runtime.choices
        names = [name for name in loader.list_groups("") if name in used]
        names += [f"{name}/{below}" for name in names for below in loader.list_groups(name)]
        found = [
            Group(name, known.get(name, ""), _options(loader.get_group_options(name), name, searched), chosen.get(name))
            for name in names
        ]
    order = [*known, *names]
    return sorted(found, key=lambda group: (order.index(group.name.partition("/")[0]), order.index(group.name)))


def _options(known: Sequence[str], group: str, searched: Sequence[str]) -> tuple[str, ...]:
    """Add those of one's own; Hydra searches there only to compose."""
    own = {path.stem for directory in searched for path in (Path(directory) / group).glob("*.yaml")}
    return tuple(sorted({*known, *own}))


def find_group(name: str, searched: Sequence[str] = ()) -> Group:
    """Return the group of a name.

    Raises:
        SettingError: if there is none; the message names the nearest one.
    """
    known = {group.name: group for group in documented_groups(searched)}
    if name not in known:
        options = {option: f"{group.name}={option}" for group in known.values() for option in group.options}
        near = nearest(name, [*known, *options])
        hint = f"did you mean {options.get(near, near)}?" if near else f"there are {', '.join(known)}"
        raise SettingError(f"{name}: no such group; {hint}")
    return known[name]


def option_comment(group: str, option: str, searched: Sequence[str] = ()) -> str:
    """Return the comment at the head of an option's file, as one line; "" of an option without a file."""
    head, _ = _read(group, option, searched)
    return " ".join(line.removeprefix("#").strip() for line in head if not line.startswith(_PACKAGE))


def option_body(group: str, option: str, searched: Sequence[str] = ()) -> str:
    """Return what stands below that comment."""
    _, body = _read(group, option, searched)
    return "\n".join(body)


def _read(group: str, option: str, searched: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the lines of the comment at the head of an option's file, and those below."""
    for directory in (*map(Path, searched), config_dir()):
        path = directory / group / f"{option}.yaml"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            head = list(itertools.takewhile(lambda line: line.startswith("#"), lines))
            return head, lines[len(head) :]
    return [], []


def first_sentence(text: str) -> str:
    """Return the first sentence of a text.

    Example:
        >>> first_sentence("Hop on one leg. 11 observations, 3 actions.")
        'Hop on one leg.'
    """
    return re.split(r"(?<=[.;]) (?=[A-Z0-9])", text, maxsplit=1)[0]


def explained_settings(group: str, option: str | None, searched: Sequence[str] = ()) -> str:
    """Write the settings of a group as YAML, each with its meaning beside it.

    Args:
        option: the option to show; ``None`` is what is chosen without a word.

    Raises:
        SettingError: if the option doesn't exist, or can't be composed.
    """
    words = [*_searching(searched), *([] if option is None else [f"{group}={option}"])]
    with composing():
        try:
            cfg = compose("train", words)
        except HydraException as error:
            raise SettingError(f"{group}={option}: {one_line(error)}") from error
    top, *below = group.split("/")
    node: Any = OmegaConf.select(cfg, ".".join((top, *below)))
    if not isinstance(node, DictConfig) or not node:
        return ""
    if top == "env" and not below:
        node = OmegaConf.masked_copy(node, [key for key in map(str, node) if key not in _WRAPPERS])
    shown: Any = node
    for name in (*reversed(below), top):
        shown = OmegaConf.create({name: shown})
    return explain(OmegaConf.to_yaml(shown), TrainConfig, dict(_of_entries(top, node)))


_WRAPPERS = {group.name for group in wrappers.GROUPS}


def _of_entries(group: str, node: DictConfig) -> Iterator[tuple[str, str]]:
    """Name what the settings of callbacks and loggers mean, by the docstrings of our classes."""
    for name, entry in ((str(key), one) for key, one in node.items() if group in ("callbacks", "logger")):
        if isinstance(entry, DictConfig) and str(entry.get("_target_")).startswith("velora."):
            kind = locate_class(f"{group}.{name}", entry)
            for documented in (kind.__init__, kind):
                said = argument_meanings(inspect.getdoc(documented) or "")
                yield from ((f"{group}.{name}.{argument}", meaning) for argument, meaning in said.items())


def _searching(directories: Sequence[str]) -> list[str]:
    return [f"hydra.searchpath=[{','.join(f'file://{Path(one).absolute()}' for one in directories)}]"] * bool(
        directories
    )


def _lines() -> list[str]:
    return (config_dir() / "train.yaml").read_text(encoding="utf-8").splitlines()
