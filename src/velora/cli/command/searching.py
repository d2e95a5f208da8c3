"""Words of a search in the wrong place: ``velora train`` trains, ``velora tune`` searches."""

from __future__ import annotations

import shlex

from hydra.core.override_parser.types import Override

from velora.cli.command.arguments import Arguments
from velora.cli.settings import budget
from velora.core.errors import SettingError

_SWEEPER = "hydra/sweeper"
_OPTIONS = {"hydra.sweeper.n_trials": "trials", "hydra.sweeper.n_jobs": "workers"}
"""Settings of Hydra's sweepers that ``velora tune`` has too."""


def check_sweeper(arguments: Arguments) -> None:
    """Refuse Hydra's optimizers: they look for the smallest value by default, and so would call the worst job the best.

    Raises:
        SettingError: with the command to use instead.
    """
    for override in arguments.parsed():
        if override.key_or_group == _SWEEPER and override.value() != "basic":
            raise SettingError(
                f"{override.input_line}: it would look for the smallest return, and take the worst job for the best; "
                f"search with: {tune_command(arguments)}"
            )


def explain_interval(override: Override, arguments: Arguments) -> str:
    """Say what a range of numbers is for."""
    value = override.get_value_string()
    return f"{override.key_or_group}: {value} is no value but a range to search; search with: {tune_command(arguments)}"


def tune_command(arguments: Arguments) -> str:
    """Write the ``velora tune`` that searches what a command line of ``velora train`` describes."""
    words = []
    for override in arguments.parsed():
        word = override.input_line or ""
        if option := _OPTIONS.get(override.key_or_group):
            words.append(f"{option}={override.get_value_string()}")
        elif not (override.is_hydra_override() or budget.is_added(word)):
            words.append(word)
    return " ".join(["velora tune", *map(shlex.quote, words)])
