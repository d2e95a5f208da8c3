"""The command ``velora doctor``: a report on this machine, a self-check of its kernel, and advice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.core.terminal import say

HELP = """\
Say what this machine computes with, check that it computes rightly, and name what would make it faster.

  velora doctor            for people
  velora doctor --json     the same as one line of JSON, for programs

What it says:
  kernel       what computes by default: the native kernel, written in C and compiled when Velora was installed, with
               the processor's widest instructions; or, where that isn't there, NumPy, and why. A GPU computes with
               PyTorch. device.kernel=native, numpy or torch chooses another
  self-check   small networks computed in the native kernel and in PyTorch, forward and backward: the largest
               difference, which rounding explains if it is below 1e-5
  cores        that this process may use, and how many threads a run takes. They are threads of the native kernel, over
               seeds; device.threads sets another number
  compiler     a C compiler, which builds the native kernel; without one Velora works too, several times slower
  GPU          those that PyTorch can use; device=cuda takes one, device=cpu none
  memory       that is free, and how many seeds' replay buffers of the default size fit into it
  here         whether files written in this directory can be forced to the disk, as every checkpoint is, and how
               long that takes
  versions     of Python and of what Velora is built on

The exit code is 0, or 1 if the self-check finds a difference that rounding doesn't explain."""
OPTIONS = ("--json", "--help", "-h")


def doctor(words: Sequence[str]) -> int:
    """Run ``velora doctor`` and return its exit code.

    Raises:
        SettingError: if a word isn't one of its options.
    """
    for word in words:
        if word not in OPTIONS:
            hint = did_you_mean(word, OPTIONS, "it takes --json and --help")
            raise SettingError(f"{word}: no such option; {hint}")
    if "--help" in words or "-h" in words:
        say(f"{HELP}\n")
        return 0
    from velora.cli.doctor import advice, machine  # torch, which takes a second

    found = machine.examine(Path.cwd())
    advices = list(advice.advise(found))
    if "--json" in words:
        document = {**found.document(), "advice": [dataclasses.asdict(a) for a in advices]}
        say(json.dumps(document) + "\n")
    else:
        from velora.cli.doctor.doctor_view import show

        show(found, advices)
    return 1 if found.self_check is not None and not found.self_check.agrees else 0
