"""Describe networks to what computes them."""

from __future__ import annotations

from typing import cast

from torch import nn

from velora.kernels.layers import Kind
from velora.kernels.plan import Layer, Plan, Readout, ReadoutKind
from velora.nn.cells.base import Cell
from velora.nn.cells.layered import LayeredCell
from velora.nn.cells.mixed import MixedMemoryCell
from velora.nn.cells.registry import row_of
from velora.nn.linear import Linear


def offsets(module: nn.Module) -> tuple[dict[str, int], int]:
    """Lay the parameters of one seed out one after another: where each begins, and how many numbers there are."""
    at, places = 0, {}
    for name, parameter in module.named_parameters():
        places[name] = at
        at += parameter[0].numel()
    return places, at


class _Layers:
    """Collect the layers of a module."""

    def __init__(self, module: nn.Module) -> None:
        self.at, self.n_parameters = offsets(module)
        self.layers: list[Layer] = []

    def add(self, kind: Kind, n_in: int, n: int, state_at: int, prefix: str, *, unfolds: int = 1) -> None:
        """Add a layer whose module's parameters have names that begin with ``prefix``."""
        at = tuple(self.at[prefix + name] for name in kind.value.tensors)
        self.layers.append(Layer(kind, n_in, n, state_at, at, unfolds))

    def plan(self, *, state_size: int, readout: Readout, has_memory: bool = True) -> Plan:
        return Plan(self.n_parameters, state_size, tuple(self.layers), readout, has_memory)


def cell_plan(cell: Cell, *, squash: bool = False, module: nn.Module | None = None, prefix: str = "") -> Plan | None:
    """Describe a cell and its readout; ``None`` if it can't be described (a backbone, a cell of somebody else's).

    Args:
        squash: put tanh after the readout.
        module: what holds the parameters, if it isn't the cell itself, and ``prefix`` their names' beginning there.
    """
    layers = _Layers(module or cell)
    readout = _add_cell(layers, cell, prefix, squash=squash)
    return None if readout is None else layers.plan(state_size=cell.state_size, readout=readout)


def liquid_head_plan(
    module: nn.Module, cell: Cell, head: Linear, *, read_at: int = 0, has_memory: bool = True
) -> Plan | None:
    """Describe a circuit and a linear map of its state, or of a part of it; ``None`` as :func:`cell_plan`.

    Args:
        cell, head: ``module.cell`` and ``module.head``.
        read_at: where that part begins.
        has_memory: ``False`` makes every step begin from a state of zeros.
    """
    layers = _Layers(module)
    if _add_cell(layers, cell, "cell.") is None:
        return None
    _, n_out, n_in = head.weight.shape
    readout = Readout(ReadoutKind.LINEAR, read_at, n_in, n_out, layers.at["head.weight"], layers.at["head.bias"])
    return layers.plan(state_size=cell.state_size, readout=readout, has_memory=has_memory)


def recurrent_value_plan(module: nn.Module, cell: Cell, sizes: list[int], names: list[str]) -> Plan | None:
    """Describe a cell, ReLU layers after it, and a linear one.

    Args:
        cell: of one layer, ``module.cell``.
        sizes: of the output of each layer after the cell.
        names: of those linear layers in ``module``.
    """
    layers = _Layers(module)
    read = _add_cell(layers, cell, "cell.")
    if read is None or read.kind is not ReadoutKind.SLICE or len(layers.layers) > 1:
        return None
    n_in, state = cell.output_size, cell.state_size
    for name, n in zip(names[:-1], sizes[:-1], strict=True):
        layers.add(Kind.RELU, n_in, n, state, f"{name}.")
        n_in, state = n, state + n
    at = layers.at[f"{names[-1]}.weight"], layers.at[f"{names[-1]}.bias"]
    return layers.plan(state_size=state, readout=Readout(ReadoutKind.LINEAR, state - n_in, n_in, sizes[-1], *at))


def dense_plan(module: nn.Module, sizes: list[int], names: list[str]) -> Plan:
    """Describe ReLU layers and a linear one after them.

    Args:
        sizes: of the input, each hidden layer and the output.
        names: of the linear layers in ``module``.
    """
    layers, state = _Layers(module), 0
    for name, n_in, n in zip(names[:-1], sizes[:-2], sizes[1:-1], strict=True):
        layers.add(Kind.RELU, n_in, n, state, f"{name}.")
        state += n
    n_read, last = sizes[-2], names[-1]
    at = layers.at[f"{last}.weight"], layers.at[f"{last}.bias"]
    readout = Readout(ReadoutKind.LINEAR, state - n_read, n_read, sizes[-1], *at)
    return layers.plan(state_size=state, readout=readout, has_memory=False)


def _add_cell(layers: _Layers, cell: Cell, prefix: str, *, squash: bool = False) -> Readout | None:
    if type(cell) is MixedMemoryCell:
        layers.add(Kind.LSTM, cell.input_size, cell.cell.state_size, 0, prefix)
        return _add_cell(layers, cell.cell, f"{prefix}cell.", squash=squash)
    size, state = cell.output_size, 0
    is_layered = type(cell) is LayeredCell
    parts = cast(list[Cell], list(cell.layers)) if type(cell) is LayeredCell else [cell]
    for i, part in enumerate(parts):
        row = row_of(part)
        kind = None if row is None or not part.is_plain else row.modes[part.mode]
        if row is None or kind is None:
            return None
        own = f"{prefix}layers.{i}." if is_layered else prefix
        if row.is_circuit:
            layers.add(kind, part.input_size, part.state_size, 0, own, unfolds=part.unfolds)
            at = layers.at[f"{own}output_w"], layers.at[f"{own}output_b"]
            return Readout(ReadoutKind.AFFINE, 0, size, size, *at, squash=squash)
        state += part.state_size
        layers.add(kind, part.input_size, part.output_size, state - part.output_size, own)
    return Readout(ReadoutKind.SLICE, state - size, size, size, squash=squash)
