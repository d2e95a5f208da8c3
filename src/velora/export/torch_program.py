"""The target ``torch``: a program of ``torch.export`` in one file, which PyTorch alone loads and runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from velora.export.formulas import step
from velora.export.placing import MARK
from velora.export.policy import Policy
from velora.export.targets import Options

_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
"""What the nodes of a program remember of the code that they come from, with the paths of its files."""


class PolicyModule(nn.Module):
    """A policy of PyTorch's own operations: ``action, next_state = module(observation, state, dt)``.

    Shapes:
        observation: (batch, n_observations). state, next_state: (batch, n_state). dt: (batch,).
        action: (batch, n_actions) of float32; of discrete actions (batch,) of int64.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self._scope = ""
        with torch.no_grad():  # the parameters are made by the first step
            self(*_example(policy, 1))

    def forward(self, observation: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Compute actions and next states."""
        action, new = step(self, self.policy, observation, state, dt)
        return action, new

    def parameter(self, name: str, numbers: NDArray[np.float32]) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        place = f"{self._scope}{name}".replace(".", "_")
        if place not in self._buffers:
            self.register_buffer(place, torch.from_numpy(np.array(numbers, np.float32)))
        return self.get_buffer(place)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """See :class:`velora.export.operations.Operations`."""
        before, self._scope = self._scope, f"{self._scope}{name}."
        yield
        self._scope = before

    def called(self, name: str, value: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return value

    def elementwise(self, function: str, value: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        if function == "softplus":
            return nn.functional.softplus(value)
        computed: Tensor = getattr(torch, function)(value)
        return computed

    def mix(self, first: Tensor, second: Tensor, share: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return first + share * (second - first)

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return nn.functional.linear(x, weight, bias)

    def split(self, x: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
        """See :class:`velora.export.operations.Operations`."""
        return torch.split(x, list(sizes), dim=1)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return torch.cat(list(parts), dim=1)

    def with_axis(self, x: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return x.unsqueeze(-1)

    def sum_rows(self, x: Tensor) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return x.sum(1)

    def clip(self, x: Tensor, low: NDArray[np.float32], high: NDArray[np.float32]) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return torch.minimum(torch.maximum(x, self.parameter("low", low)), self.parameter("high", high))

    def largest(self, x: Tensor, first: int) -> Tensor:
        """See :class:`velora.export.operations.Operations`."""
        return x.argmax(1) + first


def write_torch(policy: Policy, out: Path, options: Options) -> None:
    """Write a policy as a program of ``torch.export``; the file holds its metadata under ``velora.policy``."""
    said = {"agent": dataclasses.asdict(policy.origin), "actions": dataclasses.asdict(policy.units)}
    with out.open("wb") as file:
        torch.export.save(program(policy), file, extra_files={MARK: json.dumps(said)})


def program(policy: Policy) -> ExportedProgram:
    """Trace a policy, for batches of any size, without the paths of our source files."""
    example = _example(policy, 2)
    batch = Dim("batch")
    shapes = {"observation": {0: batch}, "state": {0: batch}, "dt": {0: batch}}
    made = torch.export.export(PolicyModule(policy).eval(), example, dynamic_shapes=shapes, strict=False)
    for node in made.graph.nodes:
        for name in _TRACES:
            node.meta.pop(name, None)
    return made


def _example(policy: Policy, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make an observation, a state and a dt to trace with."""
    sizes = (batch, policy.n_observations), (batch, policy.n_state), (batch,)
    obs, state, dt = (torch.zeros(size, dtype=torch.float32, device="cpu") for size in sizes)
    return obs, state, dt + 1.0
