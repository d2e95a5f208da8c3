"""The command ``velora verify``: which checkpoints are whole, which are broken and how, and what a resume would do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from velora.core import zoo
from velora.core.errors import SettingError, VeloraError
from velora.core.terminal import say

if TYPE_CHECKING:
    from velora.models.verifying import Verdict, Verdicts

HELP = """\
Read a checkpoint, or everything of a run, as suspiciously as loading does, and say whether it is whole.

  velora verify outputs/2026-11-23/14-03-22-115325_Pendulum-v1_3f9a
  velora verify <run>/checkpoints/ep100
  velora verify <run> agent=my_module.MyAgent     # of an agent class of your own; its module is imported
  velora verify <run> cell=my_module.MyCell       # with a cell of your own

Every byte is compared with its SHA-256, and every value with its type, range and shape: settings, weights, optimizers,
replay buffer, and the state of the run. Nothing in the files is run, and nothing is changed.

What it prints, a line each:
  ep100        a checkpoint: whole, with what it holds; or BROKEN, with the file and the reason
  config.yaml  the run's settings: whole, or what is wrong with them; and what resume= would ask you to name again
  metrics.db   the run's rows
  resume       the checkpoint that a resume would take, and how the resume would differ here

The exit code is 0 if all is whole, 1 if something is broken, 2 if there is nothing to verify."""


def verify(words: Sequence[str]) -> int:
    """Run ``velora verify`` and return its exit code.

    Raises:
        VeloraError: if a word isn't understood, or there is nothing to verify.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(f"{HELP}\n")
        return 0
    own = {word.partition("=")[0]: word.partition("=")[2] for word in words if word.startswith(("agent=", "cell="))}
    paths = [word for word in words if not word.startswith(("agent=", "cell="))]
    if len(paths) != 1 or paths[0].startswith("-"):
        raise SettingError(f"verify: expected one run or checkpoint, got {' '.join(words)}; see velora verify --help")
    from velora.models import verifying  # torch, which takes a second

    _import(own)
    path = zoo.resolve(paths[0])
    verdicts = verifying.verify(path)
    problems = 0
    for verdict in verdicts.found:
        problems += verdict.problem is not None
        _tell(_named(verdict, verdicts), _state(verdict))
    for name, state, is_broken in _beside(path):
        problems += is_broken
        _tell(name, state)
    for verdict in verdicts.newest:
        _tell("resume", _resume(verdict, verdicts))
    return 1 if problems else 0


def _import(named: Mapping[str, str]) -> None:
    """Import classes of one's own, the agent's and its cell's."""
    from velora.cli.settings.instantiate import import_cell, import_class

    if named:
        sys.path.append(str(Path.cwd()))
    if "agent" in named:
        import_class(named["agent"], "agent")
    import_cell(named.get("cell"))


def _tell(name: str, state: str) -> None:
    say(f"{name:<16} {state}\n")


def _named(verdict: Verdict, verdicts: Verdicts) -> str:
    """Name a checkpoint within its run; of several seeds, with the seed."""
    path = verdict.path.absolute()
    several = len({one.path.parent for one in verdicts.found}) > 1
    return f"{path.parent.name}/{path.name}" if several else path.name


def _state(verdict: Verdict) -> str:
    if verdict.problem is not None or verdict.checkpoint is None:
        return f"BROKEN  {verdict.problem}"
    metadata, at = verdict.checkpoint.metadata, verdict.checkpoint.metadata.progress
    parts = [name for name, part in (("buffer", metadata.buffer), ("state of its run", metadata.train_state)) if part]
    held = f", with {' and '.join(parts)}" if parts else ""
    note = f"; {verdict.note}" if verdict.note else ""
    what = f"{metadata.agent}, seed {metadata.seed}, episode {at.episode:,}, step {at.step:,}, update {at.update:,}"
    return f"whole   {what}{held}{note}"


def _beside(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Check the other files of a run: settings and rows."""
    from velora.cli.run import run_directory, trust

    if (path / run_directory.CONFIG).exists():
        try:
            settings = run_directory.load_settings(path)
            foreign = dict((*trust.foreign_code(settings), *trust.foreign_places(settings, path)))
            asks = f"; resume= asks for {', '.join(foreign)} to be named again" if foreign else ""
            yield run_directory.CONFIG, f"whole{asks}", False
        except VeloraError as error:
            yield run_directory.CONFIG, f"BROKEN  {error}", True
    if (path / run_directory.METRICS).exists():
        problem = _database_problem(path / run_directory.METRICS)
        yield run_directory.METRICS, "whole" if problem is None else f"BROKEN  {problem}", problem is not None


def _database_problem(path: Path) -> str | None:
    """Return what SQLite finds wrong with a database, in one line; its triggers and views are not trusted.

    One that nobody writes into is opened as a file that doesn't change, beside which SQLite makes no files.
    """
    import sqlite3

    way = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)) as connection:
            for setting in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
                connection.execute(f"PRAGMA {setting}")
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        said = str(error)
    return None if said == "ok" else f"{path}: {said.splitlines()[-1]}"


def _resume(verdict: Verdict, verdicts: Verdicts) -> str:
    name = _named(verdict, verdicts)
    if not verdict.is_resumable:
        return f"can't go on from {name}, the newest that is whole: saved without its buffer, or outside of a run"
    return "; ".join((f"from {name}", *verdict.differences))
