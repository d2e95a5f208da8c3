"""What the bits of a run depend on beside its settings and environment: batch size, what computes, and versions."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, TypeAlias

import gymnasium as gym
import torch

from velora.kernels import instruction_set
from velora.metrics.rows import installed_versions
from velora.training.protocol import TrainableAgent

Circumstances: TypeAlias = Mapping[str, str | int | None]

VERSIONS = ("torch", "numpy", "gymnasium")
"""Packages that count beside those of the environment; that of Velora stands in every checkpoint."""
_NOT_ITS_OWN = frozenset({*sys.stdlib_module_names, *VERSIONS, "velora", "typing_extensions"})


def gather(agent: TrainableAgent, env: gym.Env[Any, Any], *, batch_size: int) -> Circumstances:
    """Note the circumstances of a run, for its checkpoints."""
    return {"batch_size": batch_size, **of_machine(agent), **_packages(env)}


def of_machine(agent: TrainableAgent) -> Circumstances:
    """Note those that need no environment: what computes, and versions."""
    versions = installed_versions()
    return {"kernel": _computing(agent), **{name: versions.get(name) for name in VERSIONS}}


def differences(saved: Circumstances, now: Circumstances) -> list[str]:
    """List the circumstances that are others than the saved ones, a line each; those that weren't saved are unknown."""
    return [
        f"{name} was {_said(before)}, is {_said(now.get(name))} now; the bits may differ from here"
        for name, before in saved.items()
        if now.get(name) != before
    ]


def _said(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def _computing(agent: TrainableAgent) -> str:
    """Name what computes, and with what; the threads of other kernels than PyTorch change no bits."""
    if agent.device.type != "cpu":
        where = torch.cuda.get_device_name(agent.device) if agent.device.type == "cuda" else agent.device.type
        return f"{agent.kernel} ({where})"
    n = torch.get_num_threads()
    threads = f", {n} thread{'' if n == 1 else 's'}" if agent.computes_in_torch else ""
    return f"{agent.kernel} ({instruction_set(agent.kernel)}{threads})"


def _packages(env: gym.Env[Any, Any]) -> dict[str, str]:
    """Find the packages that an environment and its wrappers come from or compute with, and their versions."""
    found = {name: _version(name) for name in sorted(set(_names(env)) - _NOT_ITS_OWN)}
    return {name: version for name, version in found.items() if version is not None}


def _names(env: gym.Env[Any, Any]) -> Iterator[str]:
    """Name the packages of the classes of an environment, and those that their modules import."""
    layer: gym.Env[Any, Any] | None = env
    while layer is not None:
        for kind in type(layer).__mro__:
            yield _top(kind.__module__)
            module = sys.modules.get(kind.__module__)
            found = () if module is None else vars(module).values()
            yield from (_top(value.__name__) for value in found if isinstance(value, ModuleType))
        layer = layer.env if isinstance(layer, gym.Wrapper) else None


def _top(module: str) -> str:
    return module.partition(".")[0]


def _version(package: str) -> str | None:
    """Return the version of a package that is imported; ``None`` if it has none."""
    version = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
