"""The ``velora`` command. Each command imports its own modules late, so that help and slips wait for none of them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import velora
from velora.core.errors import SettingError, VeloraError
from velora.core.names import did_you_mean
from velora.core.terminal import complain, has_failed, occupy_standard_descriptors, say

HELP = """\
Velora trains liquid neural networks to control things.

  velora train       train an agent          velora train --help lists every setting
  velora evaluate    evaluate a checkpoint   velora evaluate --help
  velora plot        draw learning curves    velora plot --help
  velora verify      say whether a checkpoint or a run is whole, and what is broken
  velora doctor      what this machine computes with, and what would make it faster

For example:
  velora train                                                # LiquidDDPG on Pendulum-v1
  velora train env=inverted_pendulum train.seed=1 device=cpu
  velora train env=inverted_pendulum train.seeds=10           # ten seeds side by side, in one process
  velora train -m agent.n_neurons=20,40 train.seeds=3         # both, one after the other
  velora evaluate checkpoint=<run>/checkpoints/final episodes=10
  velora train resume=<run>                                   # go on where it stopped
  velora plot <run> <run> out=curves.png
  velora verify <run>

A run's directory is printed at its start; it is made in outputs/, in the directory you are in."""


def train(words: Sequence[str]) -> int:
    """Run ``velora train``; with ``resume=``, from a run's saved settings instead of the files."""
    from velora.cli.command.arguments import Arguments
    from velora.cli.command.launch import launch
    from velora.cli.settings import budget

    arguments = budget.count_alone(Arguments.parse(words))
    run, job = arguments.text("resume"), "velora.cli.run.training:run_training"
    is_sweep = run is not None and (Path(run) / "sweep.json").is_file()
    if is_sweep or (run is None and arguments.is_multirun and not arguments.asks_for_information):
        from velora.cli.sweep.command import sweep

        return sweep(arguments, resumed=Path(run) if run is not None else None)
    if run is None:
        return launch("train", job, arguments)
    from velora.cli.run import resume

    return launch("train", job, resume.prepare(Path(run), arguments), config_name=resume.CONFIG_NAME)


def evaluate(words: Sequence[str]) -> int:
    """Run ``velora evaluate``.

    ``checkpoint=<directory>`` is short for ``checkpoint.path=<directory>``: Hydra would take it for a choice in the
    group of that name.
    """
    from velora.cli.command.arguments import Arguments
    from velora.cli.command.launch import launch

    arguments = Arguments.parse(words).renaming("checkpoint", "checkpoint.path")
    return launch("evaluate", "velora.cli.run.evaluation:run_evaluation", arguments)


def plot(words: Sequence[str]) -> int:
    """Run ``velora plot``."""
    from velora.cli.run.plot import plot

    return plot(words)


def verify(words: Sequence[str]) -> int:
    """Run ``velora verify``."""
    from velora.cli.run.verify import verify

    return verify(words)


def doctor(words: Sequence[str]) -> int:
    """Run ``velora doctor``."""
    from velora.cli.doctor.doctor import doctor

    return doctor(words)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": train,
    "evaluate": evaluate,
    "plot": plot,
    "verify": verify,
    "doctor": doctor,
}


INTERRUPTED = 130
"""Exit code after Ctrl+C."""
_NOTHING_YET = {"train": "interrupted before the first step; nothing was saved"}


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
        say(f"{HELP}\n")
        return 0
    if command in ("-V", "--version"):
        say(f"velora {velora.__version__}\n")
        return 0
    try:
        if command not in COMMANDS:
            hint = did_you_mean(command, COMMANDS, f"expected one of {', '.join(COMMANDS)}")
            raise SettingError(f"{command!r} is no command; {hint}")
        with _going_on_at_sigusr1():
            code = COMMANDS[command](words)
    except VeloraError as error:
        complain(f"velora {command}: {error}\n")
        code = 2
    except KeyboardInterrupt as stop:
        complain(f"velora {command}: {str(stop) or _NOTHING_YET.get(command, 'interrupted')}\n")
        code = INTERRUPTED
    return code or int(has_failed())
