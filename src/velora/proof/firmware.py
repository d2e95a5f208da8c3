"""Compile a policy with the proof's firmware, for one target."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from velora.core.errors import ExportError
from velora.proof.targets import EVERYWHERE, FIRMWARE, Target

POLICY = ("policy.h", "policy.c", "selftest.c")
"""The files of an exported directory that are compiled; the last one for the self-test only."""
_TIMEOUT_S = 120.0
_TOO_SMALL = ("overflowed by", "will not fit in region", "is not within region")


class DoesNotFitError(ExportError):
    """Report of a policy that a chip has too little memory for."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """Firmware that was compiled.

    Attributes:
        command: what runs it.
        selftest: what runs ``policy_selftest`` on it.
        counting: what is added to count.
        flash_bytes, ram_bytes: of the whole firmware, without the stack; 0 where that means nothing.
    """

    command: tuple[str, ...]
    selftest: tuple[str, ...]
    counting: tuple[str, ...]
    flash_bytes: int
    ram_bytes: int


def compile_for(target: Target, policy: Path, build: Path, flags: Sequence[str] = ()) -> Firmware:
    """Compile a policy for a target.

    Args:
        policy: an exported directory.
        build: directory to write to.
        flags: further ones.

    Raises:
        DoesNotFitError: if the chip's memory is too small.
        ExportError: if the compiler finds something wrong.
    """
    simavr = _simulator(build) if any("{simavr}" in word for word in target.emulator) else ""
    made = {}
    for name, more in (("proof", ()), ("selftest", ("-DPROOF_SELFTEST", str(policy / "selftest.c")))):
        out = build / f"{target.name}-{name}"
        _compile(target, policy, out, (*flags, *more))
        made[name] = tuple(word.format(firmware=out, simavr=simavr) for word in target.emulator)
    flash, ram = _sizes(target, build / f"{target.name}-proof")
    if target.flash_bytes and (flash > target.flash_bytes or ram > target.ram_bytes):
        has = f"has {target.flash_bytes:,} of flash and {target.ram_bytes:,} of memory"
        raise DoesNotFitError(f"needs {flash:,} bytes of flash and {ram:,} of memory, the chip {has}")
    return Firmware(made["proof"], made["selftest"], target.counting, flash, ram)


def _compile(target: Target, policy: Path, out: Path, more: Sequence[str]) -> None:
    program, *flags = target.compiler
    sources = [str(FIRMWARE / name) for name in ("proof.c", *target.port)] + [str(policy / "policy.c")]
    includes = [f"-I{policy}", f"-I{FIRMWARE}"]
    libraries = ["-lgcc"] if "-nostdlib" in flags and program != "clang" else []
    _run(target.name, [program, *EVERYWHERE, *flags, *more, *includes, *sources, *libraries, "-o", str(out)])


def _simulator(build: Path) -> Path:
    """Compile the simulator of an ATmega328P, once in a directory."""
    out = build / "simavr-proof"
    if not out.exists():
        _run("avr", ["gcc", "-O2", f"-I{FIRMWARE}", str(FIRMWARE / "simavr.c"), "-o", str(out), "-lsimavr", "-lelf"])
    return out


def _sizes(target: Target, firmware: Path) -> tuple[int, int]:
    """Return the bytes of flash and of memory that a firmware takes."""
    if not target.size:
        return 0, 0
    text, data, bss = map(int, _run(target.name, [target.size, str(firmware)]).splitlines()[1].split()[:3])
    return text + data, data + bss


def _run(name: str, command: Sequence[str]) -> str:
    """Run a compiler, and put into one line what it complains of.

    Raises:
        DoesNotFitError: if the linker says so.
        ExportError: if it fails otherwise, or doesn't end.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise ExportError(f"{name}: {command[0]} can't be run ({error.strerror})") from error
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"{name}: {command[0]} hasn't ended after {_TIMEOUT_S:g} s") from error
    if done.returncode == 0:
        return done.stdout
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    small = [line for line in lines if any(word in line for word in _TOO_SMALL)]
    if small:
        words = small[-1].rpartition("ld: ")[2].split()
        raise DoesNotFitError(" ".join(Path(word).name if "/" in word else word for word in words))
    told = next((line for line in lines if "error:" in line), lines[-1] if lines else f"exit code {done.returncode}")
    raise ExportError(f"{name}: {command[0]} failed: {told}")
