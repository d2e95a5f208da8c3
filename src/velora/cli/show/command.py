"""The command ``velora show``: read its words, and print what there is to say."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from velora.core import zoo
from velora.core.errors import CheckpointError, SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
Say what a run or a checkpoint is: agent, sizes, wiring, environment, settings that aren't the defaults, training so
far, evaluations, files, and the commands to go on with.

  velora show outputs/2026-11-23/14-03-22-115325_Pendulum-v1_3f9a
  velora show <run>/checkpoints/best
  velora show zoo:pendulum                        # a trained agent that comes with Velora
  velora show <run> agent=my_module.MyAgent       # of an agent class of your own; its module is imported
  velora show <run> cell=my_module.MyCell         # with a cell of your own

Settings:
  agent=           class of the agent, where it isn't one of Velora's
  cell=            class of its cell, likewise
"""
SETTINGS = ("agent", "cell")
_COLUMN, _WIDTH = 14, 120
Fact = tuple[str, str]
"""A name, and what is said of it; a name that is empty goes on with the one before."""


def show(words: Sequence[str]) -> int:
    """Run ``velora show`` and return its exit code.

    Raises:
        VeloraError: if there is nothing to show at the path, or it can't be read.
    """
    if not words or any(word in ("-h", "--help") for word in words):
        say(HELP)
        return 0
    given = dict(word.split("=", 1) for word in words if word.startswith(("agent=", "cell=")))
    paths = [word for word in words if not word.startswith(("agent=", "cell="))]
    if len(paths) != 1 or paths[0].startswith("-"):
        hint = did_you_mean(paths[-1].partition("=")[0], SETTINGS, "see velora show --help") if paths else "give it"
        raise SettingError(f"show: expected one run or checkpoint, got {' '.join(paths) or 'none'}; {hint}")
    path = zoo.resolve(paths[0])
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such directory; expected a run or a checkpoint")
    from velora.cli.settings.instantiate import import_cell, import_class
    from velora.cli.show.checkpoint import found_at, of_checkpoint
    from velora.cli.show.run import of_run

    if given:
        sys.path.append(str(Path.cwd()))
    if "agent" in given:
        import_class(given["agent"], "agent")
    import_cell(given.get("cell"))
    checkpoint = found_at(path)
    facts = of_run(path) if checkpoint is None else of_checkpoint(checkpoint)
    say("".join(f"{line}\n" for line in _laid_out(facts)))
    return 0


def _laid_out(facts: Iterable[Fact]) -> Iterator[str]:
    for name, text in facts:
        wide = _WIDTH if name in _COMMANDS else _WIDTH - _COLUMN  # a command that is broken can't be copied
        lines = [text] if name in _COMMANDS or not text else textwrap.wrap(text, wide, break_on_hyphens=False)
        yield f"{name:<{_COLUMN}}{lines[0] if lines else ''}".rstrip()
        yield from (f"{'':<{_COLUMN}}{line}" for line in lines[1:])


_COMMANDS = ("evaluate", "record", "watch", "audit", "go on", "plot", "verify", "python")
