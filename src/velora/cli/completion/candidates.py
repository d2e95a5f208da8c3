"""The words that can stand at the end of a command line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from velora.cli.commands import COMMANDS, Command

_PATHS = ("resume", "checkpoint.path", "out", "study", "show")
_SETTING = re.compile(r"^  ([a-z_]+)=", re.M)


def candidates(line: str) -> list[str]:
    """Return the words that the last word of a line can become.

    Args:
        line: from the name of the program up to the cursor.

    Returns:
        Whole words; those that nothing need follow end in a space.
    """
    *before, current = line.split(" ")
    words = [word for word in before if word][1:]
    if not words:
        return _fitting(current, (f"{name} " for name in (*COMMANDS, "--help", "--version")))
    command = COMMANDS.get(words[0])
    if command is None:
        return []
    return _fitting(current, (*_own(command, words[1:], current), "--help "))


def _own(command: Command, words: Sequence[str], current: str) -> Iterator[str]:
    """List words of one command: settings of its files, or those that its help tells; and paths."""
    name, equals, value = current.partition("=")
    if command.config:
        from velora.cli.completion.settings import setting_words

        yield from setting_words(command.config, words, current)
        if command.name == "tune" and not equals:
            yield from (f"{one}=" for one in _SETTING.findall(_help(command)))
        if equals and (name in _PATHS or (name == "checkpoint" and command.name != "train")):
            yield from (f"{name}={path}" for path in paths(value))
        elif not (equals or words) and command.name in ("evaluate", "record", "watch", "audit", "drive"):
            yield from paths(current)
        elif not (equals or words) and command.name == "check-env":
            yield from (f"{env_id} " for env_id in _environments())
        if equals and name == "env.id":
            yield from (f"{name}={env_id} " for env_id in _environments())
        return
    if command.name == "configs":
        from velora.cli.completion.settings import group_words

        yield from group_words("train", current)
    known = _SETTING.findall(_help(command))
    if equals and name in known:
        yield from (f"{name}={path}" for path in paths(value))
    elif not equals:
        yield from (f"{one}=" for one in known)
        yield from () if command.name == "configs" else paths(current)


def paths(begun: str) -> Iterator[str]:
    """List what lies where a path begins; directories end in a slash."""
    head, slash, _ = begun.rpartition("/")
    with contextlib.suppress(OSError):
        for path in sorted(Path(head + slash or ".").expanduser().iterdir()):
            if not path.name.startswith("."):
                yield f"{head}{slash}{path.name}" + ("/" if path.is_dir() else " ")


def _environments() -> Iterable[str]:
    import gymnasium

    return sorted(gymnasium.registry)


def _help(command: Command) -> str:
    """Return what a command prints as its help."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        command(["--help"])
    return said.getvalue()


def _fitting(begun: str, words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for word in words if word.startswith(begun) and (begun or word[0] != "-")))
