"""A study as it was asked for: settings that all trials share, those that are searched, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from velora.cli.command.arguments import CONFIG_DIR, Arguments
from velora.cli.command.compose import composing
from velora.cli.command.mistakes import find_mistake
from velora.cli.run import seeds as seed_settings
from velora.cli.settings import budget, schema
from velora.cli.tune import options, space
from velora.cli.tune.options import Given, Options
from velora.core.errors import SettingError
from velora.core.names import nearest

CONFIG = "train"
SEEDS = ("train.seed", "train.seeds")
_EXPERIMENT = "experiment"
_QUIET = "train.progress_bar=false"


@dataclass(frozen=True)
class Request:
    """Settings that all trials share, as words of a command line, those that are searched, and how.

    Attributes:
        config_dir: a directory of configuration files of the user's own.
    """

    words: tuple[str, ...]
    space: Mapping[str, space.Dimension]
    options: Options
    config_dir: str | None = None

    def words_of(self, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Write the settings of one trial as ``velora train`` takes them."""
        return (*self.words, *space.words(self.space, params))

    def compose(self, params: Mapping[str, Any]) -> DictConfig:
        """Compose all settings of one trial."""
        return self._compose(self.words_of(params))

    def seeds(self) -> tuple[int, ...]:
        """Return the seeds of every trial."""
        return seed_settings.choose(next(iter(self.samples())))

    def samples(self) -> Iterator[DictConfig]:
        """Compose the settings at the ends of each dimension, or with each of its choices, the others at their first.

        Raises:
            SettingError: if a word can't be composed.
        """
        first = {name: dimension.examples[0] for name, dimension in self.space.items()}
        for name, dimension in self.space.items():
            for value in dimension.examples:
                words = [*self.words, *(f"{other}={text}" for other, text in {**first, name: value}.items())]
                try:
                    yield self._compose(words)
                except (HydraException, OmegaConfBaseException) as error:
                    raise SettingError(self._explained(words, error)) from error

    def _compose(self, words: Sequence[str]) -> DictConfig:
        path = [] if self.config_dir is None else [f"hydra.searchpath=[file://{Path(self.config_dir).absolute()}]"]
        with composing():
            cfg = hydra.compose(CONFIG, [*path, _QUIET, *words])
        schema.check(cfg)
        return cfg

    def _explained(self, words: Sequence[str], error: Exception) -> str:
        config_dir = () if self.config_dir is None else (CONFIG_DIR[0], self.config_dir)
        with composing():
            mistake = find_mistake(CONFIG, Arguments(config_dir, tuple(words)))
        mistake = mistake or str(error).splitlines()[0]
        name = mistake.partition(":")[0]
        dimension = self.space.get(name)
        if isinstance(dimension, space.Interval) and not dimension.is_whole and "a whole number" in mistake:
            mistake += f"; write int(interval({dimension.low:g},{dimension.high:g}))"
        return mistake


def understand(arguments: Arguments) -> tuple[Request, Given]:
    """Sort the words of a command line into settings, search space and options.

    Raises:
        SettingError: if there is one that isn't understood.
    """
    if foreign := [word for word in arguments.options if word.partition("=")[0].startswith("-")]:
        known = [word for word in foreign if word.partition("=")[0] not in CONFIG_DIR]
        if known:
            raise SettingError(f"{known[0]}: velora tune takes no option but --config-dir and --help")
    overrides = arguments.parsed()
    own = [override for override in overrides if override.key_or_group in options.NAMES]
    settings = [override for override in overrides if override.key_or_group not in options.NAMES]
    for override in settings:
        _check_name(override.key_or_group)
    given = options.read(own)
    searched = space.parse(settings)
    fixed = [_fixed(override) for override in settings if not override.is_sweep_override()]
    for name in searched:
        if name.lstrip("+") in SEEDS:
            raise SettingError(f"{name}: seeds aren't searched; train.seeds=3 trains every trial with three")
    both = {override.get_key_element() for override in settings if not override.is_sweep_override()} & set(searched)
    if both:
        raise SettingError(f"{min(both)}: is given one value and several; leave one of them out")
    return Request(tuple(fixed), searched, given.options, arguments.option(*CONFIG_DIR)), given


def _check_name(name: str) -> None:
    """Refuse a misspelt option here: among settings its nearest name would be another one."""
    known = {*(f.name for f in dataclasses.fields(schema.TrainConfig)), _EXPERIMENT}
    if not any(mark in name for mark in "./@") and name not in known and (near := nearest(name, options.NAMES)):
        raise SettingError(f"{name}: no such option; did you mean {near}?")


def _fixed(override: Override) -> str:
    word = override.input_line or ""
    if override.is_delete():
        raise SettingError(f"{word}: velora tune takes no deletions; set it to null, or write a file for --config-dir")
    if override.is_hydra_override():
        raise SettingError(f"{word}: velora tune has no settings of Hydra's; trials lie in study=<directory>")
    return word


def completed(request: Request) -> Request:
    """Add what trials of a new study need: one budget alone, and seeds, so that trials differ in nothing else.

    Raises:
        SettingError: if there is nothing to search.
    """
    if not request.space:
        raise SettingError(
            "expected a setting to search, as in 'agent.actor_lr=tag(log,interval(1e-5,1e-2))' or "
            "'agent.n_neurons=choice(10,20,40)'; see velora tune --help"
        )
    searched = tuple(f"{name}={dimension}" for name, dimension in request.space.items())
    arguments = Arguments((), (*request.words, *searched))
    added = budget.count_alone(arguments).overrides[len(arguments.overrides) :]
    named = {override.key_or_group for override in arguments.parsed()}
    if not named & set(SEEDS):
        added = (*added, "train.seed=0")
    return replace(request, words=(*request.words, *added))


def saved(request: Request) -> dict[str, Any]:
    """Return the attributes of a study, as plain values."""
    return {
        "words": list(request.words),
        "space": {name: str(dimension) for name, dimension in request.space.items()},
        "options": dataclasses.asdict(request.options) | {"minimise": list(request.options.minimise)},
        "config_dir": request.config_dir,
    }


def restored(attributes: Mapping[str, Any]) -> Request:
    """Make the request again of the attributes of its study.

    Raises:
        KeyError, TypeError, HydraException, SettingError: if they are no attributes of such a study.
    """
    parser = OverridesParser.create()
    searched = [parser.parse_override(f"{name}={text}") for name, text in attributes["space"].items()]
    words = [_fixed(parser.parse_override(str(word))) for word in attributes["words"]]
    for override in searched:
        _fixed(override)
    return Request(
        tuple(words),
        space.parse(searched),
        options.restored(attributes["options"]),
        attributes["config_dir"],
    )


def difference(before: Request, now: Request, given: Given, *, is_whole: bool) -> str | None:
    """Say in what a command differs from the study that it goes on with; ``None`` if in nothing.

    Args:
        before: of the study.
        now: what the words of the command ask for.
        given: the options among them.
        is_whole: whether the command says everything again; else what it leaves out is as in the study.
    """
    old, new = _named(before), _named(now)
    for name in sorted(old.keys() | new.keys() if is_whole else new.keys()):
        if old.get(name) != new.get(name):
            return f"{name}: {old.get(name, 'not set')} in the study, {new.get(name, 'not set')} here"
    for name in sorted(given.named & {f.name for f in dataclasses.fields(Options)}):
        old_value, new_value = getattr(before.options, name), getattr(now.options, name)
        if old_value != new_value:
            return f"{name}: {old_value} in the study, {new_value} here"
    return None


def _named(request: Request) -> dict[str, str]:
    fixed = dict(word.split("=", 1) for word in request.words if not budget.is_added(word))
    return fixed | {name: str(dimension) for name, dimension in request.space.items()}
