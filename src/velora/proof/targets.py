"""The machines that a policy is proved on, one row each: compiler, flags, memory, emulator, and their packages."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from velora.core.errors import ExportError
from velora.core.names import did_you_mean

FIRMWARE: Final = Path(__file__).with_name("firmware")
"""The sources of the firmware."""
EVERYWHERE: Final = ("-std=c99", "-ffp-contract=off")
"""Flags of every compiler; without the last one a multiplication and an addition become one, with other bits."""
_BARE: Final = (
    *("-Os", "-ffreestanding", "-nostdlib", "-fno-tree-loop-distribute-patterns"),
    *("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
)
_QEMU: Final = (
    *("-nographic", "-display", "none", "-monitor", "none", "-serial", "none"),
    *("-semihosting-config", "enable=on,target=native"),
)
_KB: Final = 1024


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that has to be installed, and the package of Debian and Ubuntu that has it.

    Attributes:
        program: its name; or of a library, a header of it.
        packages: names for ``apt-get install``.
    """

    program: str
    packages: tuple[str, ...]

    @property
    def is_there(self) -> bool:
        """Return whether it is installed."""
        if self.program.endswith(".h"):
            return any(Path(root, "include", self.program).is_file() for root in ("/usr", "/usr/local"))
        return shutil.which(self.program) is not None


_GCC = Tool("gcc", ("gcc", "libc6-dev"))
_CLANG = Tool("clang", ("clang", "lld"))
_ARM_GCC, _ARM = Tool("arm-none-eabi-gcc", ("gcc-arm-none-eabi",)), Tool("qemu-system-arm", ("qemu-system-arm",))
_RISCV_GCC = Tool("riscv64-unknown-elf-gcc", ("gcc-riscv64-unknown-elf",))
_RISCV = Tool("qemu-system-riscv32", ("qemu-system-misc",))
_AVR_GCC = Tool("avr-gcc", ("gcc-avr", "avr-libc"))
_SIMAVR = Tool("simavr/sim_avr.h", ("libsimavr-dev", "libelf-dev"))
_ELF = Tool("libelf.h", ("libelf-dev",))


@dataclass(frozen=True, slots=True)
class Target:
    """Row of the table.

    Attributes:
        name: value of ``target=``.
        machine: what computes, in words.
        compiler: the program that compiles and links, with the flags of this machine.
        port: files of :data:`FIRMWARE` that are compiled with the policy.
        emulator: the command that runs ``{firmware}``, where it isn't run as it is.
        counting: what is added to that command to count.
        tools: everything that has to be installed.
        size: the program that tells the sections' sizes; empty where flash means nothing.
        flash_bytes, ram_bytes: what the chip has; 0 for enough.
        unit: what a tick is in the report, ``"instructions"`` or ``"cycles"``; empty where nothing is counted.
        clock_hz: of the chip, where cycles are counted, so that they become time.
        is_slow: whether emulating it takes milliseconds for a step: it has no floating-point unit.
    """

    name: str
    machine: str
    compiler: tuple[str, ...]
    port: tuple[str, ...]
    tools: tuple[Tool, ...]
    emulator: tuple[str, ...] = ("{firmware}",)
    counting: tuple[str, ...] = ()
    size: str = ""
    flash_bytes: int = 0
    ram_bytes: int = 0
    unit: str = ""
    clock_hz: int = 0
    is_slow: bool = False

    @property
    def missing(self) -> list[Tool]:
        """List the tools that aren't installed."""
        return [tool for tool in self.tools if not tool.is_there]


def _arm(name: str, machine: str, board: str, flags: Sequence[str], flash: int, ram: int) -> Target:
    memory = f"-Wl,--defsym=FLASH_SIZE={flash},--defsym=RAM_SIZE={ram}"
    return Target(
        name,
        f"{machine} ({board} in QEMU)",
        ("arm-none-eabi-gcc", *_BARE, "-mthumb", *flags, "-T", str(FIRMWARE / "arm.ld"), memory),
        ("arm.c",),
        (_ARM_GCC, _ARM),
        emulator=("qemu-system-arm", "-machine", board, "-kernel", "{firmware}", *_QEMU),
        counting=("-icount", "shift=0"),
        size="arm-none-eabi-size",
        flash_bytes=flash,
        ram_bytes=ram,
        unit="instructions",
        is_slow="-mfloat-abi=hard" not in flags,
    )


def _riscv(name: str, machine: str, flags: Sequence[str]) -> Target:
    flash, ram = 512 * _KB, 64 * _KB
    memory = f"-Wl,--defsym=FLASH_SIZE={flash},--defsym=RAM_SIZE={ram}"
    script = ("-T", str(FIRMWARE / "riscv.ld"), memory)
    return Target(
        name,
        f"{machine} (virt in QEMU)",
        # Of the newer specification gcc 12 asks for zicsr by name, and then links the library for 64 bits.
        ("riscv64-unknown-elf-gcc", *_BARE, "-misa-spec=2.2", "-mcmodel=medany", *flags, *script),
        ("riscv.c",),
        (_RISCV_GCC, _RISCV),
        emulator=("qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-kernel", "{firmware}", *_QEMU),
        counting=("-icount", "shift=0"),
        size="riscv64-unknown-elf-size",
        flash_bytes=flash,
        ram_bytes=ram,
        unit="instructions",
        is_slow="-mabi=ilp32f" not in flags,
    )


_LISTED = (
    Target("host", "this machine, gcc", ("gcc", "-O2"), ("host.c",), (_GCC,)),
    Target("host-clang", "this machine, clang", ("clang", "-O2"), ("host.c",), (Tool("clang", ("clang",)), _GCC)),
    _arm("cortex-m0", "Cortex-M0+", "microbit", ("-mcpu=cortex-m0plus",), 256 * _KB, 16 * _KB),
    _arm("cortex-m3", "Cortex-M3", "lm3s6965evb", ("-mcpu=cortex-m3",), 256 * _KB, 64 * _KB),
    _arm(
        "cortex-m4",
        "Cortex-M4F",
        "mps2-an386",
        ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
        512 * _KB,
        128 * _KB,
    ),
    Target(
        "avr",
        "ATmega328P (simavr), the chip of an Arduino Uno",
        ("avr-gcc", "-Os", "-mmcu=atmega328p", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
        ("avr.c",),
        (_AVR_GCC, _GCC, _SIMAVR, _ELF),
        emulator=("{simavr}", "{firmware}"),
        size="avr-size",
        flash_bytes=32 * _KB,
        ram_bytes=2 * _KB,
        unit="cycles",
        clock_hz=16_000_000,
        is_slow=True,
    ),
    _riscv("riscv", "RV32IMAC", ("-march=rv32imac", "-mabi=ilp32")),
    _riscv("riscv-f", "RV32IMAFC", ("-march=rv32imafc", "-mabi=ilp32f")),
    Target(
        "wasm32",
        "WebAssembly (node)",
        (
            *("clang", "--target=wasm32", "-O2", "-ffreestanding", "-fno-builtin", "-nostdlib"),
            *("-Wl,--no-entry", "-Wl,--export=main", "-Wl,--allow-undefined"),
        ),
        ("wasm.c",),
        (_CLANG, Tool("wasm-ld", ("lld",)), Tool("node", ("nodejs",))),
        emulator=("node", str(FIRMWARE / "wasm.mjs"), "{firmware}"),
    ),
)
TARGETS: Final = {target.name: target for target in _LISTED}
"""Every target by its name, in the order of the report; the bits of the first are what the others have to have."""
ALL: Final = "all"


def find_targets(names: Iterable[str]) -> list[Target]:
    """Return the targets of these names, in the order of the table; ``all`` stands for every one.

    Raises:
        ExportError: if there is none of a name.
    """
    wanted = {name.strip() for name in names}
    for name in wanted - {ALL, *TARGETS}:
        hint = did_you_mean(name, TARGETS, f"expected {ALL}, or some of {', '.join(TARGETS)}")
        raise ExportError(f"target={name}: no such target; {hint}")
    return [target for target in TARGETS.values() if ALL in wanted or target.name in wanted]


def installing(targets: Iterable[Target]) -> str:
    """Return the command that installs what is missing for these targets; "" if nothing is."""
    packages = dict.fromkeys(name for target in targets for tool in target.missing for name in tool.packages)
    return f"apt-get install {' '.join(packages)}" if packages else ""


def packages() -> list[str]:
    """List the packages of all targets."""
    return list(dict.fromkeys(name for target in _LISTED for tool in target.tools for name in tool.packages))
