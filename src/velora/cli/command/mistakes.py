"""The user's mistakes: tell them from crashes, and explain each in one line.

Hydra's own message takes several lines and names neither the nearest setting nor the type that was expected. A search
runs only after a failure, so it can afford to try the words one by one.
"""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from velora.cli.command.arguments import CONFIG_DIR, Arguments
from velora.cli.command.searching import explain_interval
from velora.core.errors import VeloraError
from velora.core.names import did_you_mean, nearest

MOST_VALUES = 20
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "null",
    list: "a list",
    dict: "name: value pairs",
}


def is_mistake(error: BaseException) -> bool:
    """Return whether an error is the user's to mend, so that a traceback would only hide its message."""
    return isinstance(error, VeloraError | HydraException | OmegaConfBaseException)


def one_line(error: BaseException) -> str:
    """Put an error's message on one line, or its cause's where it has none of its own."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def find_mistake(config_name: str, arguments: Arguments) -> str | None:
    """Explain in one line the first word that can't be composed.

    Group choices are tried one by one, then the settings one by one on top of all group choices. Hydra has to be
    initialised (:func:`velora.cli.command.compose.composing`).

    Args:
        config_name: the file composed from.
        arguments: the command line.

    Returns:
        The explanation; ``None`` if every word can be composed.

    Raises:
        HydraException, OmegaConfBaseException: if the files can't be composed even without the words.
    """
    extra = arguments.option(*CONFIG_DIR)
    base = [f"hydra.searchpath=[file://{Path(extra).absolute()}]"] if extra else []
    reference = compose(config_name, base, return_hydra_config=True)
    groups = set(reference.hydra.runtime.choices)
    overrides = arguments.parsed()
    for override in overrides:
        if override.is_interval_sweep():
            return explain_interval(override, arguments)
        if override.is_sweep_override() and not arguments.is_multirun:
            return _explain_several(override)
    choices = [o for o in overrides if o.key_or_group in groups]
    for choice in choices:
        for word in _single_words(choice):
            try:
                compose(config_name, [*base, word])
            except MissingConfigException as error:
                options = error.options or GlobalHydra.instance().config_loader().get_group_options(choice.key_or_group)
                return _explain_choice(choice.key_or_group, word, options)
            except Exception as error:  # noqa: BLE001 - no code of a user's runs here, and Hydra fails in many ways
                return f"{word}: {one_line(error)}"
    if choices:
        base += [next(_single_words(choice)) for choice in choices]
        reference = compose(config_name, base, return_hydra_config=True)
    for override in overrides:
        if override in choices:
            continue
        for word in _single_words(override):
            try:
                compose(config_name, [*base, word], return_hydra_config=True)
            except Exception as error:  # noqa: BLE001 - as above
                name, is_own = override.key_or_group, any(one.key_or_group == "agent._target_" for one in overrides)
                if is_own and name.startswith("agent.") and name not in _own_names(reference):
                    return f"{name}: no setting of Velora's agents; if your own class has it, write +{word}"
                return _explain_setting(name, word, error, reference, groups)
    return None


def _explain_several(override: Override) -> str:
    name, _, values = (override.input_line or "").partition("=")
    if override.is_discrete_sweep():
        single = list(itertools.islice(override.sweep_string_iterator(), MOST_VALUES + 1))
        values = ",".join(single) if len(single) <= MOST_VALUES else values
    several = f"{name}: got several values; add -m to run one job with each"
    if name == "train.seed":
        return f"{several}, or train them side by side with train.seeds=[{values}]"
    return f"{several} (a list is written [{values}])"


def _single_words(override: Override) -> Iterator[str]:
    """Yield an override for each value of a sweep, or the one override that was written."""
    if override.is_sweep_override() and override.is_discrete_sweep():
        for value in override.sweep_string_iterator():
            yield f"{override.get_key_element()}={value}"
    else:
        yield override.input_line or ""


def _explain_choice(group: str, word: str, options: Sequence[str]) -> str:
    choice = word.partition("=")[2]
    if choice.startswith("["):
        several = [one.strip() for one in choice.strip("[]").split(",")]
        choice = next((one for one in several if one not in options), choice)
    hint = did_you_mean(choice, options, f"choose one of {', '.join(options)}")
    if group == "env" and "-v" in choice:
        hint = f"a registered Gymnasium id is given as env.id={choice}"
    return f"{group}={choice}: no such choice; {hint}"


def _explain_setting(name: str, word: str, error: Exception, reference: DictConfig, groups: set[str]) -> str:
    value = word.partition("=")[2]
    known = dotted_names(reference) if name.startswith("hydra") else _own_names(reference)
    if word.startswith(("+", "~")):
        return f"{word}: {one_line(error.__cause__ or error)}"
    if name in known:
        expected = expected_type(reference, name)
        return f"{name}: expected {expected}, got {value!r}" if expected else f"{name}: {one_line(error)}"
    top, _, rest = name.partition(".")
    option = rest.partition(".")[0]
    if (
        top in groups
        and f"{top}.{option}" not in known
        and option in GlobalHydra.instance().config_loader().get_group_options(top)
    ):
        return f"{name}: not part of the settings yet; choose {top}={option} as well"
    if f"{top}/{option}" in groups and not any(other.startswith(f"{top}.{option}.") for other in known):
        return f"{name}: not part of the settings yet; choose {top}/{option}=... as well"
    near = nearest(name, [*known, *groups])
    is_elsewhere = near is None or name.startswith(f"{near}.") or near.partition(".")[0] != top
    if is_elsewhere and _takes_anything(reference, name):
        return f"{name}: no such setting; write +{word} to add it"
    return f"{name}: no such setting; {f'did you mean {near}?' if near else 'see --help for all of them'}"


def _own_names(reference: DictConfig) -> list[str]:
    return [name for name in dotted_names(reference) if name.partition(".")[0] != "hydra"]


def dotted_names(cfg: DictConfig, prefix: str = "") -> list[str]:
    """List every name in a configuration, groups and settings, as one writes it on the command line."""
    names = []
    for key in map(str, cfg):
        names.append(f"{prefix}{key}")
        if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
            continue
        if isinstance(cfg[key], DictConfig):
            names += dotted_names(cfg[key], f"{prefix}{key}.")
    return names


def _takes_anything(reference: DictConfig, name: str) -> bool:
    """Return whether ``name`` is in a part of the settings that takes any name, such as ``env.kwargs``."""
    parent: Any = None
    while parent is None and "." in name:
        name = name.rpartition(".")[0]
        parent = OmegaConf.select(reference, name)
    return isinstance(parent, DictConfig) and not dataclasses.is_dataclass(OmegaConf.get_type(parent))


def expected_type(cfg: DictConfig, name: str) -> str | None:
    """Describe the type of a setting in words, by its schema; return ``None`` where it has none."""
    parent_name, _, leaf = name.rpartition(".")
    parent: Any = OmegaConf.select(cfg, parent_name) if parent_name else cfg
    schema = OmegaConf.get_type(parent)
    if schema is None or not dataclasses.is_dataclass(schema):
        return None
    return _words(typing.get_type_hints(schema).get(leaf))


def _words(hint: Any) -> str | None:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(filter(None, (_words(part) for part in typing.get_args(hint))))
    if dataclasses.is_dataclass(hint):
        return WORDS[dict]
    return WORDS.get(typing.get_origin(hint) or hint)
