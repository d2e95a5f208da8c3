"""Which launcher runs the jobs of a sweep, and what to install where its package is missing."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Final, NamedTuple

from velora.cli.command.arguments import Arguments
from velora.cli.sweep.plan import Plan
from velora.core.cores import n_cores


class Package(NamedTuple):
    """The package that a launcher comes from: its module, and how to install it."""

    module: str
    how: str


_SUBMITIT: Final = Package("hydra_plugins.hydra_submitit_launcher", "pip install hydra-submitit-launcher")
PACKAGES: Final = {
    "joblib": Package("hydra_plugins.hydra_joblib_launcher", "pip install hydra-joblib-launcher"),
    **dict.fromkeys(("slurm", "slurm_local", "submitit_slurm", "submitit_local"), _SUBMITIT),
    "ray": Package(
        "hydra_plugins.hydra_ray_launcher", "make ray, and run .venv-ray/bin/velora (it needs older packages)"
    ),
}
"""Launchers that come from elsewhere, by the names that ``hydra/launcher=`` and ``sweep=`` have for them."""


def named(arguments: Arguments) -> Arguments:
    """Return the command line with the default launcher named, if it has settings of a launcher and names none."""
    names = [override.key_or_group for override in arguments.parsed()]
    if {"sweep", "hydra/launcher"}.isdisjoint(names) and any(name.startswith("hydra.launcher.") for name in names):
        return _with_processes(arguments)
    return arguments


def chosen(arguments: Arguments, plan: Plan) -> Arguments:
    """Return the command line with a launcher: where none was chosen, a process each for several jobs and cores."""
    is_chosen = plan.choices.get("sweep") is not None or plan.launcher != "basic"
    if is_chosen or len(plan.jobs) < 2 or n_cores() < 2:
        return arguments
    return _with_processes(arguments)


def _with_processes(arguments: Arguments) -> Arguments:
    return replace(arguments, overrides=(*arguments.overrides, "hydra/launcher=processes"))


def missing(arguments: Arguments) -> str | None:
    """Explain in one line which package a chosen launcher needs that isn't there; ``None`` if none is missing."""
    for override in arguments.parsed():
        package = PACKAGES.get(str(override.value())) if override.key_or_group in ("hydra/launcher", "sweep") else None
        if package is not None and not _is_installed(package.module):
            return f"{override.input_line}: its package is missing; install it by {package.how}"
    return None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nothing in hydra_plugins at all
        return False
