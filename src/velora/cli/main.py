"""The ``velora`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import velora
from velora.cli.commands import COMMANDS
from velora.core.errors import SettingError, VeloraError
from velora.core.names import did_you_mean

HELP = """\
Velora trains liquid neural networks to control things.

  velora train       train an agent          velora train --help lists every setting
  velora evaluate    evaluate a checkpoint   velora evaluate --help
  velora plot        draw learning curves    velora plot --help
  velora doctor      what this machine computes with, and what would make it faster

For example:
  velora train                                                # LiquidDDPG on Pendulum-v1
  velora train env=inverted_pendulum train.seed=1 device=cpu
  velora train env=inverted_pendulum train.seeds=10           # ten seeds side by side, in one process
  velora train -m agent.n_neurons=20,40 train.seeds=3         # both, one after the other
  velora evaluate checkpoint=<run>/checkpoints/final episodes=10
  velora train resume=<run>                                   # go on where it stopped
  velora plot <run> <run> out=curves.png

A run's directory is printed at its start; it is made in outputs/, in the directory you are in."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 after a crash, 2 for bad input, 130 when interrupted.

    Args:
        argv: the arguments; ``None`` takes those of the process.
    """
    command, *words = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if command in ("-h", "--help", "help"):
        sys.stdout.write(f"{HELP}\n")
        return 0
    if command in ("-V", "--version"):
        sys.stdout.write(f"velora {velora.__version__}\n")
        return 0
    try:
        if command not in COMMANDS:
            hint = did_you_mean(command, COMMANDS, f"expected one of {', '.join(COMMANDS)}")
            raise SettingError(f"{command!r} is no command; {hint}")
        return COMMANDS[command](words)
    except VeloraError as error:
        sys.stderr.write(f"velora {command}: {error}\n")
        return 2
