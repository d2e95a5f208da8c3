"""What people use alone: ``torch.save`` and the safetensors library, over the same path, as a loop saves its best."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.reliability.subject import Subject


def small_module(version: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Make a small network that has taken one step of Adam."""
    generator = torch.Generator().manual_seed(version)
    module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(8, 3, generator=generator)).square().mean().backward()
    optimizer.step()
    return module, optimizer


def digest(value: Any) -> str:
    """Hash nested dicts and lists of tensors and numbers."""
    found = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            found.update(f"{part.dtype} {tuple(part.shape)}".encode())
            found.update(part.detach().contiguous().numpy().tobytes())
        elif isinstance(part, dict):
            for key in sorted(part, key=str):
                found.update(str(key).encode())
                add(part[key])
        elif isinstance(part, list | tuple):
            for item in part:
                add(item)
        else:
            found.update(repr(part).encode())

    add(value)
    return found.hexdigest()


class TorchSave(Subject):
    """``torch.save`` of weights and optimizer, ``torch.load`` with ``weights_only=True``."""

    name = "torch.save"

    def save(self, place: Path, version: int) -> None:
        """Save over the same file."""
        module, optimizer = small_module(version)
        torch.save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, place / "checkpoint.pt")

    def load(self, place: Path) -> str:
        """Load into a fresh module and optimizer."""
        module, optimizer = small_module(0)
        state = torch.load(place / "checkpoint.pt", weights_only=True)
        module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return digest([module.state_dict(), optimizer.state_dict()])


class Safetensors(Subject):
    """``save_file`` of weights and optimizer moments, ``load_file``."""

    name = "safetensors"

    def save(self, place: Path, version: int) -> None:
        """Save over the same file."""
        module, optimizer = small_module(version)
        tensors = dict(module.state_dict())
        for name, parameter in module.named_parameters():
            tensors |= {f"{name}.{key}": value.clone() for key, value in optimizer.state[parameter].items()}
        save_file(tensors, place / "checkpoint.safetensors")

    def load(self, place: Path) -> str:
        """Load all tensors; the names and shapes must be those of the module."""
        tensors = load_file(place / "checkpoint.safetensors")
        module, optimizer = small_module(0)
        module.load_state_dict({name: tensors[name] for name in module.state_dict()})
        moments = {}
        for name, parameter in module.named_parameters():
            for key, value in optimizer.state[parameter].items():
                moments[f"{name}.{key}"] = value.copy_(tensors[f"{name}.{key}"])
        return digest([module.state_dict(), moments])


def subjects() -> list[Subject]:
    """List them."""
    return [TorchSave(), Safetensors()]
