"""Networks run in PyTorch, and backward through its autograd: those that no kernel can compute."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from velora.nn.flat import FlatParameters
from velora.nn.run.network import Outputs, Pullback, Unrollable


class TorchNetwork:
    """Run a module that has no plan in PyTorch, and backward through its autograd."""

    kernel = "autograd"

    def __init__(self, module: Unrollable, flat: FlatParameters) -> None:
        self.module, self.flat, self.has_memory = module, flat, module.has_memory
        self._parameters = list(flat.module.parameters())

    def run(
        self,
        *sources: Tensor,
        hidden: Tensor | None = None,
        dt: Tensor | None = None,
        resets: Tensor | None = None,
        wants: Collection[str] = ("out",),
    ) -> Outputs:
        """See :class:`Network`."""
        with torch.no_grad():
            out, states, last = self.module.unroll(sources, hidden, dt, _as_bool(resets))
        return Outputs(out.contiguous(), states, last)  # a policy's output may be a part of its state

    def vjp(
        self, *sources: Tensor, hidden: Tensor | None = None, dt: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Pullback]:
        """See :class:`Network`."""
        leaves = tuple(source.detach().requires_grad_(source.is_floating_point()) for source in sources)
        with torch.enable_grad():
            out, _, _ = self.module.unroll(leaves, hidden, dt, _as_bool(resets))
        return out.detach().contiguous(), _TorchPullback(out, leaves, self._parameters, self.flat)

    def stepper(
        self, source: Tensor, hidden: Tensor, dt: Tensor | None
    ) -> tuple[Tensor, Callable[[tuple[int, ...]], None]]:
        """See :class:`Network`; computes all seeds, and advances those that are asked for."""
        first = self.run(source, hidden=hidden, dt=dt).out
        assert first is not None
        out = torch.empty_like(first)

        def step(rows: tuple[int, ...]) -> None:
            done = self.run(source, hidden=hidden, dt=dt, wants=("out", "last"))
            assert done.out is not None
            assert done.last is not None
            out.copy_(done.out)
            where: Any = ... if len(rows) == len(hidden) else list(rows)
            hidden[where] = done.last[where]

        return out, step


class _TorchPullback:
    def __init__(
        self, out: Tensor, leaves: tuple[Tensor, ...], parameters: list[torch.nn.Parameter], flat: FlatParameters
    ) -> None:
        self._out, self._leaves, self._parameters, self._flat = out, leaves, parameters, flat

    def parameters(self, d_out: Tensor) -> None:
        write_gradient(self._out, d_out, self._parameters, self._flat)

    def source(self, index: int, d_out: Tensor) -> Tensor:
        return torch.autograd.grad(self._out, self._leaves[index], d_out)[0].contiguous()


def write_gradient(out: Tensor, d_out: Tensor, parameters: Sequence[torch.nn.Parameter], flat: FlatParameters) -> None:
    """Ask autograd for the gradient of a network's parameters, and write it to its flat gradient."""
    assert flat.gradient is not None
    if flat.is_frozen:  # autograd refuses to differentiate by what requires no gradient
        flat.gradient.zero_()
        return
    parts = torch.autograd.grad(out, parameters, d_out, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, parts, strict=True)]
    torch.cat([g.flatten(1) for g in filled], 1, out=flat.gradient)


def _as_bool(resets: Tensor | None) -> Tensor | None:
    return resets if resets is None or resets.dtype == torch.bool else resets > 0.5
