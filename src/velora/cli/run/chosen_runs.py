"""Words that choose runs to look at: directories, and settings written name=value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from velora.core.errors import SettingError
from velora.core.names import did_you_mean


def split(words: Sequence[str], settings: Collection[str], *, command: str) -> tuple[list[Path], dict[str, list[str]]]:
    """Sort words into directories and settings; a setting that is given again is a list.

    Args:
        settings: names that are known.
        command: whose they are, such as ``plot``.

    Raises:
        SettingError: if a setting or an option is unknown, or no directory is named.
    """
    paths: list[Path] = []
    given: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in settings:
            given.setdefault(name, []).append(value)
        elif equals and not Path(word).exists():
            hint = did_you_mean(name, settings, f"see velora {command} --help")
            raise SettingError(f"{word}: no such setting; {hint}")
        elif word.startswith("-"):
            raise SettingError(f"{word}: no such option; settings are written name=value; see velora {command} --help")
        else:
            paths.append(Path(word))
    if not paths:
        raise SettingError(f"{command}: expected at least one run directory, got none; see velora {command} --help")
    return paths, given


def whole_number(name: str, text: str) -> int:
    """Read a whole number.

    Raises:
        SettingError: if it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise SettingError(f"{name}: expected a whole number, got {text!r}") from None
