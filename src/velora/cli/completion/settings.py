"""The words of commands whose settings Hydra composes: groups, options, settings and their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from velora.cli.command.arguments import FLAGS
from velora.cli.command.compose import composing, config_dir
from velora.cli.command.mistakes import dotted_names
from velora.cli.settings import groups
from velora.models.keywords import AGENTS, CheckpointKeywords, TrainKeywords

_PREFIXES = ("++", "+", "~")


def setting_words(config: str, words: Sequence[str], current: str) -> Iterator[str]:
    """List what can be typed next.

    Args:
        config: the file in ``conf/`` that the command begins with.
        words: those that stand before; choices among them decide which settings there are.
        current: the word that is being typed.
    """
    if current.startswith("-"):
        yield from (f"{flag} " for flag in FLAGS)
        return
    prefix = next((mark for mark in _PREFIXES if current.startswith(mark)), "")
    name, equals, value = current.removeprefix(prefix).partition("=")
    with composing():
        cfg = _composed(config, words)
        offered = _options(config)
        if not equals:
            names = [one for one in dotted_names(cfg) if one.partition(".")[0] != "hydra"]
            yield from (f"{prefix}{word}" for word in _next(name, names, offered))
            return
        chosen, comma, _ = value.rpartition(",")
        values = offered[name] if name in offered else _values(cfg, name)
        yield from (f"{prefix}{name}={chosen}{comma}{one} " for one in values)


def group_words(config: str, current: str) -> Iterator[str]:
    """List the groups, or the options of the one that is named."""
    name, equals, _ = current.partition("=")
    with composing():
        compose(config)
        offered = _options(config)
    yield from (f"{name}={one} " for one in offered.get(name, ())) if equals else (f"{one} " for one in offered)


def _composed(config: str, words: Sequence[str]) -> DictConfig:
    """Compose the settings with the choices made so far, as far as they can be."""
    known = [word for word in words if "=" in word and "." not in word.partition("=")[0]]
    for choices in (known, []):
        try:
            return compose(config, list(choices))
        except (HydraException, OmegaConfBaseException):
            continue
    return OmegaConf.create({})


def _options(config: str) -> dict[str, list[str]]:
    """Name the groups that the command chooses from, each with its options."""
    loader, used = GlobalHydra.instance().config_loader(), groups.used(config_dir() / f"{config}.yaml")
    tops = [name for name in loader.list_groups("") if name in used]
    names = [*tops, *(f"{top}/{below}" for top in tops for below in loader.list_groups(top))]
    return {name: list(loader.get_group_options(name)) for name in names}


def _next(begun: str, names: Sequence[str], offered: dict[str, list[str]]) -> Iterator[str]:
    """Go on by one part of a name: to the next dot, or to the ``=`` at its end."""
    yield from (f"{group}=" for group in offered)
    inner = {name.rpartition(".")[0] for name in names}
    for name in names:
        if name.startswith(begun):
            first, dot, _ = name[len(begun) :].partition(".")
            if not dot:
                yield f"{name}." if name in inner else f"{name}="
            else:
                yield f"{begun}{first}."


def _values(cfg: DictConfig, name: str) -> Iterator[str]:
    """List the values that a setting chooses from, if it does."""
    top, _, own = name.partition(".")
    try:
        value, target = OmegaConf.select(cfg, name), OmegaConf.select(cfg, f"{top}._target_")
    except OmegaConfBaseException:
        return
    keywords: Any = {"train": TrainKeywords, "checkpoint": CheckpointKeywords}.get(top)
    keywords = next((kinds for path, kinds in AGENTS.values() if path == target), keywords)
    if isinstance(value, bool):
        yield from ("true", "false")
    elif keywords is not None and own in keywords.__annotations__:
        kind = keywords.__annotations__[own].__origin__
        for part in (kind, *get_args(kind)):
            if get_origin(part) is Literal:
                yield from map(str, get_args(part))
