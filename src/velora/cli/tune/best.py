"""The best settings of a study: a file to train with, and the commands that use it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from velora.cli.command.compose import composing
from velora.cli.settings.budget import is_added
from velora.cli.tune.outcome import Outcome, Trial
from velora.cli.tune.request import CONFIG, SEEDS, Request
from velora.core import disk

FILE: Final = Path("experiment", "best.yaml")
"""Where it is in a study: Hydra finds it there as ``experiment=best``."""
_EXPERIMENT: Final = "experiment"


def save(outcome: Outcome, shown: Path) -> list[str]:
    """Write the settings of the best trial, and return the words of a command that trains with them.

    Args:
        shown: the study's directory as people see it.
    """
    request, trial = outcome.request, outcome.best[0]
    words = [word for word in request.words_of(trial.params) if not _is_seed(word)]
    if request.config_dir is None:
        with suppress(OSError):  # a study that may only be read
            disk.write_text(outcome.home / FILE, _as_file(outcome, trial, words))
            if _leads_to_the_same(outcome.home, words):
                return [f"--config-dir={_quoted(shown)}", "experiment=best"]
            (outcome.home / FILE).unlink()  # words that no file can say; the command below says them
    return [*_config_dir(request), *(_as_typed(word) for word in words if not is_added(word))]


def base_words(request: Request) -> list[str]:
    """Return the words of a command that trains with the settings that all trials share, and no others."""
    return [
        *_config_dir(request),
        *(_as_typed(word) for word in request.words if not (_is_seed(word) or is_added(word))),
    ]


def fresh_seeds(request: Request) -> list[str]:
    """Return the words that train on ten seeds which the study hasn't seen."""
    return [f"train.seed={(max(request.seeds()) + 1) % 2**31}", "train.seeds=10"]


def _config_dir(request: Request) -> list[str]:
    return [] if request.config_dir is None else [f"--config-dir={_quoted(Path(request.config_dir))}"]


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _as_typed(word: str) -> str:
    return shlex.quote(word)


def _is_seed(word: str) -> bool:
    return word.partition("=")[0].lstrip("+") in SEEDS


def _as_file(outcome: Outcome, trial: Trial, words: Sequence[str]) -> str:
    """Write words of a command line as a file of Hydra's: choices in groups as its defaults, settings as its values."""
    groups = _groups()
    defaults: list[Any] = []
    values = OmegaConf.create({})
    for override in map(OverridesParser.create().parse_override, words):
        if override.key_or_group in groups:
            defaults.append(_default(override))
        else:
            OmegaConf.update(values, override.key_or_group, override.value(), merge=True, force_add=True)
    defaults.sort(key=lambda one: isinstance(one, dict))
    head = (
        "# @package _global_\n"
        f"# The settings of trial {trial.number}, the best of {outcome.count('complete')}: "
        f"return {trial.values[0]:.6g}, {outcome.request.options.statistic} over {len(trial.returns)} seeds.\n"
    )
    return head + OmegaConf.to_yaml(OmegaConf.merge({"defaults": [*defaults, "_self_"]}, values))


def _default(override: Override) -> Any:
    choice = override.value()
    if override.key_or_group == _EXPERIMENT:
        return choice
    return {f"override /{override.key_or_group}": choice}


def _groups() -> set[str]:
    with composing():
        return set(hydra.compose(CONFIG, return_hydra_config=True).hydra.runtime.choices)


def _leads_to_the_same(home: Path, words: Sequence[str]) -> bool:
    """Return whether the file composes to the same settings as the words do."""
    path = f"hydra.searchpath=[file://{home.absolute()}]"
    try:
        with composing():
            typed = hydra.compose(CONFIG, list(words))
            return bool(_plain(typed) == _plain(hydra.compose(CONFIG, [path, "experiment=best"])))
    except (HydraException, OmegaConfBaseException):
        return False


def _plain(cfg: DictConfig) -> Any:
    return OmegaConf.to_container(cfg, resolve=True)
