"""The command ``velora configs``: what there is to choose and to set, with its documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
List what velora train chooses from, with defaults and meanings.

  velora configs                        # the groups, and the options of each
  velora configs agent                  # the options of one group, and its settings
  velora configs agent=liquid_sac       # one option, with its settings
  velora configs env/mask               # a group below another one
  velora configs --config-dir my_conf env     # with files of your own, such as my_conf/env/mine.yaml
  velora configs schema=velora.schema.json    # a JSON schema of a run's settings, by which editors complete and check
  velora configs env schema=env.schema.json   # of the files of one group

Settings:
  schema=          a file to write the JSON schema to
"""
SETTINGS = ("schema", "--config-dir")
_WIDTH, _INDENT = 120, 16


def configs(words: Sequence[str]) -> int:
    """Run ``velora configs`` and return its exit code.

    Raises:
        VeloraError: if there is no such group or option, or the schema can't be written.
    """
    if any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    given, named = _sorted(words)
    searched = [given["--config-dir"]] if "--config-dir" in given else []
    if searched and not Path(searched[0]).is_dir():
        raise SettingError(f"--config-dir: {searched[0]} is no directory; expected files such as env/mine.yaml in it")
    if "schema" in given:
        return _write_schema(named, Path(given["schema"]))
    lines = _overview(searched) if not named else _of_group(named[0], searched)
    say("".join(f"{line}\n" for line in lines))
    return 0


def _sorted(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Tell the settings of the command from the group that is asked for.

    Raises:
        SettingError: if a word is neither.
    """
    given, named, rest = dict[str, str](), list[str](), list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in SETTINGS:
            if not (value := value or (rest.pop(0) if rest and name.startswith("-") else "")):
                raise SettingError(f"{name}: expected a value after it")
            given[name] = value
        elif name.startswith("-"):
            raise SettingError(f"{name}: no such option; {did_you_mean(name, SETTINGS, 'see velora configs --help')}")
        else:
            named.append(f"{name}{equals}{value}")
    if len(named) > 1:
        raise SettingError(f"configs: expected one group, got {' '.join(named)}; see velora configs --help")
    return given, named


def _write_schema(named: Sequence[str], path: Path) -> int:
    from velora.cli.configs.documented import find_group
    from velora.cli.configs.json_schema import group_schema, settings_schema, write

    write(group_schema(find_group(named[0]).name) if named else settings_schema(), path)
    say(f"{path}\n")
    return 0


def _overview(searched: Sequence[str]) -> Iterator[str]:
    from velora.cli.configs.documented import documented_groups

    yield "Groups of velora train: choose an option of each, as in env=hopper. * stands where you choose none."
    yield ""
    for group in documented_groups(searched):
        listed = ", ".join(f"{option} *" if option == group.default else option for option in group.options)
        yield from _row(group.name, group.meaning)
        yield from _row("", listed)
    yield ""
    yield "velora configs <group> shows its options and settings, velora train --help all settings."


def _of_group(word: str, searched: Sequence[str]) -> Iterator[str]:
    from velora.cli.configs.documented import (
        explained_settings,
        find_group,
        first_sentence,
        option_body,
        option_comment,
    )

    name, equals, option = word.partition("=")
    group = find_group(name, searched)
    if equals and option not in group.options:
        hint = did_you_mean(option, group.options, f"choose one of {', '.join(group.options)}")
        raise SettingError(f"{word}: no such option; {hint}")
    yield f"{name}: {group.meaning}" if group.meaning else name
    yield ""
    if equals:
        yield from _row(option, option_comment(name, option, searched) or "leaves it out")
    else:
        for one in group.options:
            said = first_sentence(option_comment(name, one, searched)) or "leaves it out"
            yield from _row(f"{one} *" if one == group.default else one, said)
    settings = explained_settings(name, option if equals else None, searched)
    if equals and not settings:
        settings = option_body(name, option, searched)
    if settings:
        yield ""
        shown = f"{name}={option}" if equals else f"{name}={group.default}" if group.default else name
        yield f"Settings with {shown}:"
        yield ""
        yield settings.rstrip()


def _row(name: str, text: str) -> Iterator[str]:
    """Lay out a name and what is said of it; a long name has a line of its own."""
    first, *more = textwrap.wrap(text, _WIDTH - _INDENT) or [""]
    if len(name) >= _INDENT - 1:
        yield name
        name = ""
    yield f"{name:<{_INDENT}}{first}".rstrip()
    yield from (f"{'':<{_INDENT}}{line}" for line in more)
