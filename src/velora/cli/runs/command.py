"""The command ``velora runs``: a list of runs, made from their directories, without a server."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from velora.analysis.collection import Runs
from velora.analysis.columns import COLUMNS
from velora.analysis.find import find_directories, read_runs
from velora.analysis.rows import Rows
from velora.analysis.table import as_csv, as_json, as_lines, as_markdown
from velora.core import disk
from velora.core.errors import RunDirectoryError, SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
List the runs in and below some directories; without any, in outputs/ and multirun/.

  velora runs
  velora runs multirun/2026-11-23/14-10-07-003811_sweep_91c0
  velora runs where='env=hopper status=finished' sort=-return limit=10
  velora runs where='agent=*td3 agent.n_neurons=20,40 return>-200' csv=runs.csv
  velora runs watch=true                        # live, from any terminal; Ctrl+C ends it

Settings:
  where=          conditions that must all hold: name=value (or one of several, with * for anything), !=, <, <=, >, >=
  sort=           columns, the largest first with a - before: sort=-return or sort=env,time
  limit=          how many to list at most
  csv=            a file to write them to, with everything that is known, unrounded
  format=table    table, markdown, csv or json
  watch=false     true shows them live, once a second

Names in where= and sort= are those of the columns and of settings: agent.n_neurons, or n_neurons.

Columns:
"""
FORMATS = ("table", "markdown", "csv", "json")
SETTINGS = ("where", "sort", "limit", "csv", "format", "watch")
_SPARE: Final = ("started", "best", "episodes", "progress", "time", "steps")
_POLL_S: Final = 0.05
_MANY: Final = 200
"""Runs that take seconds to read."""


@dataclass(slots=True)
class _Wanted:
    """The words of a command."""

    paths: list[Path] = field(default_factory=list)
    where: str = ""
    sort: str = ""
    limit: int | None = None
    csv: str = ""
    format: str = "table"
    watch: bool = False


def runs(words: Sequence[str]) -> int:
    """Run ``velora runs`` and return its exit code.

    Raises:
        VeloraError: if there is no run, or a word is wrong.
    """
    if any(word in ("-h", "--help") for word in words):
        say(HELP + "".join(f"  {name:<10} {column.meaning}\n" for name, column in COLUMNS.items()))
        return 0
    wanted = _read(words)
    if wanted.watch:
        _watch(wanted)
        return 0
    found = _found(wanted)
    chosen = _chosen(found, wanted)
    rows = chosen.rows()
    if wanted.csv:
        _write(Path(wanted.csv), as_csv(rows, _all_columns(rows)))
    if not chosen and wanted.format == "table":
        say(f"none of {len(found)} runs fits {wanted.where}\n")
    else:
        say(_text(rows, wanted.format))
    return 0


def _read(words: Sequence[str]) -> _Wanted:
    """Sort the words.

    Raises:
        SettingError: if one is wrong.
    """
    wanted = _Wanted()
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in SETTINGS:
            setattr(wanted, name, _PARSERS.get(name, str)(value))
        elif equals and not Path(word).exists():
            raise SettingError(f"{word}: no such setting; {did_you_mean(name, SETTINGS, 'see velora runs --help')}")
        elif word.startswith("-"):
            raise SettingError(f"{word}: no such option; settings are written name=value; see velora runs --help")
        else:
            wanted.paths.append(Path(word))
    if wanted.watch and (wanted.csv or wanted.format != "table"):
        raise SettingError("watch: a live table goes to no file and has one format; leave csv= and format= out")
    return wanted


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SettingError(f"limit: expected a whole number of at least 1, got {text!r}")
    return int(text)


def _format(text: str) -> str:
    if text not in FORMATS:
        hint = did_you_mean(text, FORMATS, f"expected one of {', '.join(FORMATS)}")
        raise SettingError(f"format: {text}: {hint}")
    return text


def _watching(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SettingError(f"watch: expected true or false, got {text!r}")
    return text.lower() == "true"


_PARSERS: Final[dict[str, Callable[[str], object]]] = {"limit": _limit, "format": _format, "watch": _watching}


def _chosen(found: Runs, wanted: _Wanted) -> Runs:
    return Runs(found.where(wanted.where).sort(wanted.sort)[: wanted.limit])


def _text(rows: Rows, form: str) -> str:
    if form == "csv":
        return as_csv(rows, _all_columns(rows))
    if form == "json":
        return as_json(rows, _all_columns(rows))
    columns, heading = _columns(rows)
    if form == "markdown":
        return "\n".join(as_markdown(rows, columns)) + "\n"
    width = shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
    return "\n".join([*heading, *as_lines(rows, columns, width=width, spare=_SPARE)]) + "\n"


def _all_columns(rows: Rows) -> list[str]:
    return rows.columns() or list(COLUMNS)


def _columns(rows: Rows) -> tuple[list[str], list[str]]:
    """Choose the columns for people, and the lines above that say what is the same everywhere."""
    settings = [name for name in rows.columns() if name not in COLUMNS]
    columns, same = ["run"], list[str]()
    for name in ("agent", "env"):
        values = {str(value) for value in rows.column(name) if value is not None}
        if len(values) > 1:
            columns.append(name)
        else:
            same += values
    columns += [*settings, "status"]
    columns += ["progress"] if any(status != "finished" for status in rows.column("status")) else []
    columns += ["episodes", "steps", "return", "best", "seeds", "time"]
    columns += ["reason"] if any(rows.column("reason")) else []
    return columns, [" on ".join(same)] if same and len(rows) > 1 else []


def _write(path: Path, text: str) -> None:
    try:
        disk.write_text(path, text)
    except OSError as error:
        raise RunDirectoryError(f"{path} can't be written ({error.strerror}); choose another csv=") from error


def _found(wanted: _Wanted) -> Runs:
    """Read the runs; on a terminal a bar shows how far that is, where there are many."""
    directories = find_directories(wanted.paths)
    followed: Iterable[Path] = directories
    if len(directories) >= _MANY and sys.stderr.isatty():
        from rich.progress import track

        from velora.callbacks.console import EdgeConsole

        followed = track(directories, "reading runs", console=EdgeConsole(), transient=True)
    return Runs(run for directory in followed for run in read_runs(directory))


def _watch(wanted: _Wanted) -> None:
    """Show the runs live until Ctrl+C, or until nobody reads it any more."""
    from velora.callbacks.console import EdgeConsole
    from velora.cli.runs.live import LiveRuns

    def choose(found: Runs) -> Runs:
        return _chosen(found, wanted)

    choose(_found(wanted))  # a slip is said before anything is shown
    console = EdgeConsole(stderr=False)
    with (
        contextlib.suppress(KeyboardInterrupt),
        LiveRuns(lambda: find_directories(wanted.paths), choose=choose, console=console) as view,
    ):
        while not view.is_over:
            view.tick()
            time.sleep(_POLL_S)
