"""Checks of a network's inputs and gradients, the same for every kernel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from velora.core.errors import ShapeError
from velora.kernels.arrays.namespace import Values


def check_forward(
    state_size: int,
    widths: int,
    dtype: torch.dtype,
    sources: Sequence[Tensor],
    hidden: Tensor | None,
    dt: Tensor | None,
    resets: Tensor | None,
) -> None:
    """Check the inputs of a network over sequences.

    Shapes:
        sources: one or two of (S, B, T, features), ``widths`` features together. hidden: (S, B, state_size).
        dt: (S, B, T). resets: (S, B, T), numbers or truth values.

    Raises:
        ShapeError: naming the first tensor at fault.
    """
    if not 1 <= len(sources) <= 2:
        raise ShapeError(f"sources: expected one or two tensors, got {len(sources)}")
    shape = sources[0].shape[:3]
    for i, source in enumerate(sources):
        if source.dim() != 4 or source.shape[:3] != shape:
            raise ShapeError(
                f"source {i}: expected shape (S, B, T, features), all of one (S, B, T), got {tuple(source.shape)}"
                f"{'' if i == 0 else f' after {tuple(sources[0].shape)}'}"
            )
        _check_type(f"source {i}", source, dtype)
    if (found := sum(source.shape[3] for source in sources)) != widths:
        raise ShapeError(f"sources: expected {widths} features together, got {found}")
    if hidden is not None:
        _check("hidden", hidden, (*shape[:2], state_size), "(S, B, H)", dtype)
    if dt is not None:
        _check("dt", dt, tuple(shape), "(S, B, T)", dtype)
    if resets is not None:
        _check("resets", resets, tuple(shape), "(S, B, T)", torch.bool if resets.dtype == torch.bool else dtype)


def check_gradient(
    name: str, gradient: Tensor | None, result: Values | None, dtype: torch.dtype, *, is_dense: bool = False
) -> None:
    """Check a gradient that a backward call starts from, where there is one.

    Args:
        result: what it is the gradient of.
        is_dense: whether its numbers have to lie one after another.

    Raises:
        ShapeError: if it has another shape or type than the result, or lies otherwise.
    """
    if gradient is None or result is None:
        return
    _check(name, gradient, tuple(result.shape), "of the result", dtype)
    if is_dense and not gradient.is_contiguous():
        raise ShapeError(f"{name}: expected numbers one after another in memory, got strides {gradient.stride()}")


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], letters: str, dtype: torch.dtype) -> None:
    if tuple(tensor.shape) != shape:
        raise ShapeError(f"{name}: expected shape {letters} = {shape}, got {tuple(tensor.shape)}")
    _check_type(name, tensor, dtype)


def _check_type(name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    if tensor.dtype != dtype:
        raise ShapeError(f"{name}: expected numbers of type {dtype}, got {tensor.dtype}; convert them")
