"""The report that ``velora doctor`` prints: with rich on a terminal, in plain text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from velora.cli.doctor.advice import Advice
from velora.cli.doctor.machine import Machine
from velora.core import ram
from velora.core.terminal import say

REPLAY_BYTES = 100_000 * 36 * 4
"""Replay memory of one seed at the default settings: 100,000 transitions of 36 numbers (InvertedPendulum-v5)."""


def show(machine: Machine, advices: Sequence[Advice]) -> None:
    """Print the facts about a machine, then the advice."""
    facts = list(_facts(machine))
    title = f"Velora {machine.versions['velora']}"
    closing = "What would make it better" if advices else "There is nothing to make better."
    if sys.stdout is not None and sys.stdout.isatty():
        _show_rich(title, facts, closing, advices)
        return
    lines = [title, ""]
    lines += [f"{name:<12} {text}" for name, text, _ in facts]
    lines += ["", closing]
    for advice in advices:
        lines += [f"- {advice.text}", *(f"    {command}" for command in advice.commands)]
    say("\n".join(lines) + "\n")


def _show_rich(title: str, facts: Sequence[tuple[str, str, bool]], closing: str, advices: Sequence[Advice]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text, is_good in facts:
        table.add_row(name, Text(text, style="" if is_good else "red"))
    console.print(Text(title, style="bold cyan"), "", table, "", Text(closing, style="bold"), sep="\n")
    for advice in advices:
        console.print(Text(f"- {advice.text}"))
        for command in advice.commands:
            console.print(Text(f"    {command}", style="cyan"), soft_wrap=True)  # whole, to be copied


def _facts(machine: Machine) -> list[tuple[str, str, bool]]:
    """List the facts: name, text, and whether it is good news."""
    kernel, check, directory = machine.kernel, machine.self_check, machine.directory
    if check is None:
        checked = ("self-check", "nothing to check: there is no native kernel", True)
    else:
        verdict = "agree" if check.agrees else "DON'T agree"
        apart = ", ".join(f"{name} {value:.0e}" for name, value in check.differences.items())
        text = f"native kernel and PyTorch {verdict}: largest difference {check.largest:.1e} ({apart})"
        checked = ("self-check", text, check.agrees)
    can_write = f"files in {directory.path} "
    if directory.problem is None:
        can_write += f"can be forced to the disk ({directory.fsync_ms:.1f} ms)"
    else:
        can_write += f"can't be forced to the disk: {directory.problem}"
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in machine.versions.items())
    gpus = ", ".join(f"{gpu.name} ({ram.readable(gpu.memory_bytes)})" for gpu in machine.gpus)
    return [
        ("kernel", _kernel(machine), kernel.is_built or bool(machine.gpus)),
        checked,
        ("cores", _cores(machine), True),
        ("compiler", kernel.compiler or "none found (looked for cc, gcc, clang, cl)", True),
        ("GPU", gpus or "none that PyTorch can use", True),
        ("memory", _memory(machine), True),
        ("here", can_write, directory.problem is None),
        ("versions", versions, None not in machine.versions.values()),
    ]


def _kernel(machine: Machine) -> str:
    kernel = machine.kernel
    native = f"native, {kernel.instruction_set} (C, compiled at installation)"
    if kernel.in_use == "native":
        return native
    missing = f"the native kernel isn't there ({kernel.problem})"
    name = {"torch": "PyTorch", "numpy": "NumPy"}.get(kernel.in_use, kernel.in_use)
    if machine.gpus:
        return f"{name}, on the GPU; with device=cpu: {native if kernel.is_built else missing}"
    return f"{name}: {missing}"


def _cores(machine: Machine) -> str:
    text = f"{machine.cores}"
    if machine.cores < machine.cores_in_all:
        text += f" of the machine's {machine.cores_in_all}"
    if machine.is_busy:
        text += f", busy with other work (load {machine.load:.1f})"
    if machine.kernel.in_use != "native":
        return text  # what else there is uses one
    n_one, n_most = machine.threads(1), machine.cores
    threads = f"{n_one} thread{'' if n_one == 1 else 's'} for one seed"
    return f"{text}; {threads}" + (f", up to {n_most} for several" if n_most > n_one else "")


def _memory(machine: Machine) -> str:
    if machine.memory_bytes is None:
        return "unknown"
    seeds = machine.memory_bytes // REPLAY_BYTES
    return f"{ram.readable(machine.memory_bytes)} free: replay buffers of {seeds:,} seeds (default size)"
