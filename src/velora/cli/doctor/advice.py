"""Advice on a machine: how to make it faster, or its runs safer, with the commands to type."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from velora.cli.doctor.machine import Machine
from velora.core.extras import DISTRIBUTION

_PACKAGE_MANAGERS = {
    "apt-get": "sudo apt-get install build-essential python3-dev",
    "dnf": "sudo dnf install gcc python3-devel",
    "zypper": "sudo zypper install gcc python3-devel",
    "pacman": "sudo pacman -S gcc",
    "apk": "sudo apk add gcc musl-dev python3-dev",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece of advice: a sentence, and the commands that follow it."""

    text: str
    commands: tuple[str, ...]


def advise(machine: Machine, which: Callable[[str], str | None] = shutil.which) -> Iterator[Advice]:
    """Yield advice for a machine, the most important first.

    Args:
        machine: as :func:`velora.cli.doctor.machine.examine` found it.
        which: finds a program by its name.
    """
    yield from _advise_on_the_installation(machine, which)
    if machine.directory.problem is not None:
        yield Advice(
            "Checkpoints can't be written safely where you stand. Let runs write to another directory.",
            ("velora train hydra.run.dir=<directory>",),
        )
    if machine.gpus and machine.kernel.is_built:
        yield Advice(
            "device=auto takes the GPU. It pays with many seeds or large networks; one seed of a few dozen neurons "
            "learns faster on the processor. Compare them by the steps per second that the progress bar shows.",
            ("velora train device=cuda train.n_steps=5000", "velora train device=cpu train.n_steps=5000"),
        )
    if machine.cores > 1 and machine.kernel.in_use == "native":
        yield Advice(
            f"One seed keeps at most {machine.threads(1)} of {machine.cores} cores busy, and those not all the time. "
            "Several seeds side by side fill them, and give a learning curve with a confidence band.",
            ("velora train train.seeds=10",),
        )
    if machine.cores < machine.cores_in_all:
        yield Advice(
            f"This process may use {machine.cores} of the machine's {machine.cores_in_all} cores. A container, a "
            "scheduler or taskset decides that; ask it for more.",
            (),
        )


def _advise_on_the_installation(machine: Machine, which: Callable[[str], str | None]) -> Iterator[Advice]:
    kernel, check = machine.kernel, machine.self_check
    if check is not None and not check.agrees:
        yield Advice(
            "The native kernel computes something else than PyTorch. Build it anew, and train with PyTorch until then.",
            (reinstall(which), "velora train device.kernel=torch"),
        )
    if shares_its_folder():
        yield Advice(
            "The package velora of the registry, another code base with the same import name, lies in the same folder. "
            "Remove it, and install Velora again.",
            (f"{_python(which)} -m pip uninstall velora", reinstall(which)),
        )
    if not kernel.is_built:
        missing = [
            *(["a C compiler"] if kernel.compiler is None else []),
            *([] if kernel.has_headers else ["Python's header files"]),
        ]
        first = f"Install {' and '.join(missing)}, then" if missing else "There is a C compiler now:"
        yield Advice(
            f"Training takes several times longer without the native kernel. {first} install Velora again.",
            (*(compiler(which) if missing else ()), reinstall(which)),
        )


def compiler(which: Callable[[str], str | None] = shutil.which) -> tuple[str, ...]:
    """Return the command that installs a C compiler here, if it is known."""
    if sys.platform == "darwin":
        return ("xcode-select --install",)
    if sys.platform == "win32":
        workload = "--add Microsoft.VisualStudio.Workload.VCTools --includeRecommended --passive"
        return (f'winget install Microsoft.VisualStudio.2022.BuildTools --override "{workload}"',)
    found = [command for manager, command in _PACKAGE_MANAGERS.items() if which(manager)]
    return tuple(found[:1])


def shares_its_folder() -> bool:
    """Return whether the registry's package velora, another code base, was installed into the folder ``velora`` too."""
    try:
        files = importlib.metadata.distribution("velora").files
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(path.as_posix() == "velora/__init__.py" for path in files or ())


def reinstall(which: Callable[[str], str | None] = shutil.which) -> str:
    """Return the command that builds Velora anew from where it was installed from."""
    python = _python(which)
    source = _source_directory()
    if source is None:
        return f"{python} -m pip install --force-reinstall --no-deps --no-binary {DISTRIBUTION} {DISTRIBUTION}"
    path, is_editable = source
    kind = "--editable" if is_editable else "--force-reinstall"
    return f"{python} -m pip install --no-deps {kind} {shlex.quote(str(path))}"


def _python(which: Callable[[str], str | None]) -> str:
    """Return what to type for this Python."""
    return "python" if _is_this_python(which("python")) else shlex.quote(sys.executable)


def _is_this_python(found: str | None) -> bool:
    """Return whether typing ``python`` starts this Python; links aren't followed, which would leave an environment."""
    return found is not None and Path(found).absolute().parent == Path(sys.executable).absolute().parent


def _source_directory() -> tuple[Path, bool] | None:
    """Find the checkout that Velora was installed from, and whether it is used in place (PEP 610)."""
    try:
        text = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        origin = json.loads(text or "{}")
        url = urlparse(origin.get("url", ""))
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    if url.scheme != "file" or "dir_info" not in origin:
        return None
    return Path(url2pathname(url.path)), bool(origin["dir_info"].get("editable"))
