"""The ``velora`` command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from velora import __version__

HELP = """\
Velora trains liquid neural networks to control things.

  velora train       train an agent          velora train --help lists every setting
  velora evaluate    evaluate a checkpoint   velora evaluate --help
  velora plot        draw learning curves    velora plot --help

For example:
  velora train                                                # LiquidDDPG on Pendulum-v1
  velora train env=inverted_pendulum train.seed=1 device=cpu
  velora train -m train.seed=0,1,2 agent.n_neurons=20,40      # all six combinations
  velora evaluate checkpoint=<run>/checkpoints/final episodes=10
  velora train resume=<run>                                   # go on where it stopped
  velora plot <run> <run> out=curves.png

A run's directory is printed at its start; it is made in outputs/, in the directory you are in."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 after a crash, 2 for bad input, 130 when interrupted.

    Args:
        argv: the arguments; ``None`` takes those of the process.
    """
    command, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    if command in ("-h", "--help", "help"):
        _say(HELP)
        return 0
    if command in ("-V", "--version"):
        _say(f"velora {__version__}")
        return 0
    if command not in COMMANDS:
        near = _nearest(command, list(COMMANDS))
        hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(COMMANDS)}"
        sys.stderr.write(f"velora: {command!r} is no command; {hint} See velora --help\n")
        return 2
    return COMMANDS[command](arguments)
