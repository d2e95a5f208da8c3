"""Read the words of a command line: Hydra's options, and the settings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from velora.core.errors import SettingError
from velora.core.names import did_you_mean

FLAGS = ("--help", "-h", "--hydra-help", "--resolve", "--run", "-r", "--multirun", "-m", "--shell-completion", "-sc")
WITH_VALUE = ("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd")
WITH_OPTIONAL_VALUE = ("--info", "-i")
CONFIG_DIR = ("--config-dir", "-cd")
MULTIRUN = ("--multirun", "-m")
HELP = ("--help", "-h")
SHOWS = (*HELP, "--hydra-help", "--cfg", "-c", "--info", "-i")


@dataclass(frozen=True)
class Arguments:
    """A command line: Hydra's options, and the settings (Hydra calls them overrides), in whatever order they came."""

    options: tuple[str, ...]
    overrides: tuple[str, ...]

    @classmethod
    def parse(cls, words: Sequence[str]) -> Arguments:
        """Sort the words of a command line.

        Raises:
            SettingError: if a word is neither an option of Hydra's nor ``name=value``.
        """
        options: list[str] = []
        overrides: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            name, equals, _ = word.partition("=")
            if not word.startswith("-"):
                overrides.append(word)
            elif name in WITH_VALUE and not equals:
                if not rest:
                    raise SettingError(f"{word}: expected a value after it")
                options += [word, rest.pop(0)]
            elif name in WITH_OPTIONAL_VALUE and rest and "=" not in rest[0] and not rest[0].startswith("-"):
                options += [word, rest.pop(0)]
            elif word in FLAGS or name in WITH_VALUE or name in WITH_OPTIONAL_VALUE:
                options.append(word)
            else:
                hint = did_you_mean(name, (*FLAGS, *WITH_VALUE, *WITH_OPTIONAL_VALUE), "see --help")
                raise SettingError(
                    f"{word}: no such option; settings are written name=value, as in train.n_episodes=300; {hint}"
                )
        arguments = cls(tuple(options), tuple(overrides))
        arguments.parsed()
        extra = arguments.option(*CONFIG_DIR)
        if extra is not None and not Path(extra).is_dir():
            raise SettingError(f"--config-dir: {extra} is no directory; expected files such as env/mine.yaml in it")
        return arguments

    def parsed(self) -> list[Override]:
        """Parse the settings by Hydra's grammar.

        Raises:
            SettingError: if one can't be read.
        """
        parser = OverridesParser.create()
        found = []
        for word in self.overrides:
            try:
                found.append(parser.parse_override(word))
            except HydraException as error:
                raise SettingError(
                    f"{word}: expected name=value, as in train.n_episodes=300 "
                    "(a value with spaces, commas or brackets needs quotes inside the shell's: 'name=\"a, b\"')"
                ) from error
        return found

    @property
    def is_multirun(self) -> bool:
        """Return whether several jobs are asked for."""
        return any(option in MULTIRUN for option in self.options)

    @property
    def asks_for_help(self) -> bool:
        """Return whether the settings are to be shown with their meaning, and nothing is to be run."""
        return any(option in HELP for option in self.options)

    @property
    def only_shows(self) -> bool:
        """Return whether something is to be shown, and nothing is to be run."""
        return any(option.partition("=")[0] in SHOWS for option in self.options)

    def text(self, name: str) -> str | None:
        """Return the last value given to ``name`` as text, or ``None`` if it wasn't given or is null.

        Raises:
            SettingError: if it is several values.
        """
        given = [override for override in self.parsed() if override.key_or_group == name and not override.is_delete()]
        if not given:
            return None
        value = given[-1].value()
        if given[-1].is_sweep_override() or isinstance(value, list | dict):
            raise SettingError(f"{name}: expected one value, got {given[-1].input_line}")
        return None if value is None else str(value)

    def option(self, *names: str) -> str | None:
        """Return the value of an option by any of its names, or ``None`` if it wasn't given."""
        for position, word in enumerate(self.options):
            name, equals, value = word.partition("=")
            if name in names:
                return value if equals else self.options[position + 1]
        return None

    def renaming(self, old: str, new: str) -> Arguments:
        """Return the same arguments with one setting under another name."""
        words = tuple(new + word[len(old) :] if word.startswith(f"{old}=") else word for word in self.overrides)
        return replace(self, overrides=words)

    def adding(self, **settings: str) -> Arguments:
        """Return the same arguments with further settings; ``__`` in a name stands for a dot."""
        added = tuple(f"{name.replace('__', '.')}={quoted(value)}" for name, value in settings.items())
        return replace(self, overrides=(*self.overrides, *added))


def written(name: str, value: str) -> str:
    """Write a setting the way it is typed, with the quotes that Hydra's grammar and a shell need, if any.

    Example:
        >>> written("resume", "outputs/run"), written("resume", "my, own run")
        ('resume=outputs/run', '\'resume="my, own run"\'')
    """
    word = f"{name}={value}"
    try:
        parsed = OverridesParser.create().parse_override(word)
        is_literal = not parsed.is_sweep_override() and str(parsed.value()) == value
    except HydraException:
        is_literal = False
    return shlex.quote(word if is_literal else f"{name}={quoted(value)}")


def quoted(value: str) -> str:
    """Quote a text so that Hydra's grammar takes it literally."""
    return QuotedString(text=value, quote=Quote.double).with_quotes()
