"""Describe networks to the native kernel."""

from __future__ import annotations

from torch import nn

from velora.nn.cells import CfCCell, GRUCell, LayeredCell, LTCCell, MemorylessCell, MixedMemoryCell
from velora.nn.cells.base import Cell
from velora.ops import kernels

# The numbers of `enum kind` and `enum readout` in native.h.
_CFC = {"default": 0, "no_gate": 1, "pure": 2}
_GRU, _TANH, _RELU, _LSTM, _LTC = 3, 4, 5, 6, 7
_SLICE, _AFFINE, _LINEAR = 0, 1, 2
_MOST_LAYERS, _MOST_TENSORS = 9, 13

_LTC_TENSORS = (
    "gleak", "vleak", "cm", "sigma", "mu", "w", "erev", "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev",
    "input_w", "input_b",
)  # fmt: skip


def offsets(module: nn.Module) -> tuple[dict[str, int], int]:
    """Lay the parameters of one seed out one after another: where each begins, and how many numbers there are."""
    at, places = 0, {}
    for name, parameter in module.named_parameters():
        places[name] = at
        at += parameter[0].numel()
    return places, at


class _Layers:
    """Collect layers as the kernel's words."""

    def __init__(self, module: nn.Module) -> None:
        self.at, self.n_parameters = offsets(module)
        self.words: list[tuple[int, ...]] = []

    def add(self, kind: int, n_in: int, n: int, state_at: int, tensors: list[str], *, unfolds: int = 1) -> None:
        places = [self.at[name] for name in tensors]
        self.words.append((kind, n_in, n, state_at, unfolds, *places, *[0] * (_MOST_TENSORS - len(places))))

    def plan(self, *, state_size: int, readout: tuple[int, int, int, int, int, int], squash: bool) -> kernels.Plan:
        n = len(self.words)
        padding = [0] * ((_MOST_LAYERS - n) * (5 + _MOST_TENSORS))
        has_memory = int(self.words[0][0] == _LSTM)
        head = (self.n_parameters, n, self.words[0][1], state_size, has_memory, *readout, int(squash))
        flat = [word for layer in self.words for word in layer]
        return kernels.Plan((*head, *flat, *padding), state_size=state_size, out_size=readout[3])


def cell_plan(
    cell: Cell, *, squash: bool = False, module: nn.Module | None = None, prefix: str = ""
) -> kernels.Plan | None:
    """Describe a cell and its readout; ``None`` if the kernel doesn't know it (a backbone, a cell of somebody else's).

    Args:
        squash: put tanh after the readout.
        module: what holds the parameters, if it isn't the cell itself, and ``prefix`` their names' beginning there.
    """
    layers = _Layers(module or cell)
    readout = _add_cell(layers, cell, prefix)
    return None if readout is None else layers.plan(state_size=cell.state_size, readout=readout, squash=squash)


def liquid_value_plan(module: nn.Module, cell: Cell, *, cell_prefix: str, head: str) -> kernels.Plan | None:
    """Describe a circuit whose whole state goes through a linear map to one number."""
    layers = _Layers(module)
    if _add_cell(layers, cell, cell_prefix) is None:
        return None
    weight, bias = layers.at[f"{head}.weight"], layers.at[f"{head}.bias"]
    return layers.plan(state_size=cell.state_size, readout=(_LINEAR, 0, cell.state_size, 1, weight, bias), squash=False)


def dense_plan(module: nn.Module, sizes: list[int], names: list[str]) -> kernels.Plan | None:
    """Describe ReLU layers and a linear one after them.

    Args:
        sizes: of the input, each hidden layer and the output.
        names: of the linear layers in ``module``.
    """
    if len(names) - 1 > _MOST_LAYERS:
        return None
    layers, state = _Layers(module), 0
    for name, n_in, n in zip(names[:-1], sizes[:-2], sizes[1:-1], strict=True):
        layers.add(_RELU, n_in, n, state, [f"{name}.weight", f"{name}.bias"])
        state += n
    n_read, last = sizes[-2], names[-1]
    readout = (_LINEAR, state - n_read, n_read, sizes[-1], layers.at[f"{last}.weight"], layers.at[f"{last}.bias"])
    return layers.plan(state_size=state, readout=readout, squash=False)


def _add_cell(layers: _Layers, cell: Cell, prefix: str) -> tuple[int, int, int, int, int, int] | None:
    if type(cell) is MixedMemoryCell:
        units = cell.cell.state_size
        layers.add(_LSTM, cell.input_size, units, 0, [f"{prefix}weight", f"{prefix}bias"])
        return _add_cell(layers, cell.cell, f"{prefix}cell.")
    if type(cell) is LTCCell:
        names = [prefix + name for name in _LTC_TENSORS]
        layers.add(_LTC, cell.input_size, cell.state_size, 0, names, unfolds=cell.ode_unfolds)
        size = cell.output_size
        return _AFFINE, 0, size, size, layers.at[f"{prefix}output_w"], layers.at[f"{prefix}output_b"]
    parts = list(cell.layers) if type(cell) is LayeredCell else [cell]
    if len(parts) >= _MOST_LAYERS:
        return None
    state = 0
    for i, part in enumerate(parts):
        own = f"{prefix}layers.{i}." if type(cell) is LayeredCell else prefix
        tensors = [f"{own}heads.weight", f"{own}heads.bias"]
        if type(part) is CfCCell and part.backbone is None:
            kind = _CFC[part.mode]
            tensors += [f"{own}w_tau", f"{own}A"] if part.mode == "pure" else []
        elif type(part) is GRUCell:
            kind = _GRU
        elif type(part) is MemorylessCell:
            kind = _TANH
        else:
            return None
        layers.add(kind, part.input_size, part.state_size, state, tensors)
        state += part.state_size
    size = cell.output_size
    return _SLICE, state - size, size, size, 0, 0
