"""The ``velora`` command: it finds the command that the first word names, runs it, and reports failures in one line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import velora
from velora.cli.commands import COMMANDS, help_text
from velora.core.errors import SettingError, VeloraError
from velora.core.interruption import interruptions_kept
from velora.core.names import did_you_mean
from velora.core.terminal import complain, has_failed, occupy_standard_descriptors, say

INTERRUPTED = 130
"""Exit code after Ctrl+C."""


@contextmanager
def _going_on_at_sigusr1() -> Iterator[None]:
    """Outlive the signal that asks a run for a save, until there is a run: by itself it would end the process."""
    number = getattr(signal, "SIGUSR1", None)
    is_free = threading.current_thread() is threading.main_thread()
    if number is None or not is_free or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 after a crash, 2 for bad input, 130 when interrupted.

    It is 1 too if the output can't be written, as to a full disk; a reader that has gone away is no error.

    Args:
        argv: the arguments; ``None`` takes those of the process.
    """
    occupy_standard_descriptors()
    command, *words = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if command in ("-h", "--help", "help"):
        say(f"{help_text()}\n")
        return 0
    if command in ("-V", "--version"):
        say(f"velora {velora.__version__}\n")
        return 0
    try:
        if command not in COMMANDS:
            hint = did_you_mean(command, COMMANDS, f"expected one of {', '.join(COMMANDS)}")
            raise SettingError(f"{command!r} is no command; {hint}")
        with _going_on_at_sigusr1(), interruptions_kept():
            code = COMMANDS[command](words)
    except VeloraError as error:
        complain(f"velora {command}: {error}\n")
        code = 2
    except KeyboardInterrupt as stop:
        complain(f"velora {command}: {str(stop) or COMMANDS[command].interrupted}\n")
        code = INTERRUPTED
    return code or int(has_failed())
