"""The cells that an agent can have, one row each.

From these rows come the choices of the settings, the circuits of :func:`velora.nn.cells.make_cell`, the description
that kernels compute from, their self-check, the parameters of tests and the rows of benchmarks. A test compares the
table of the guide. This module imports no cell, so that a command line can know them all without PyTorch.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from velora.core.errors import SettingError
from velora.kernels.layers import Kind

if TYPE_CHECKING:
    from velora.nn.cells.base import Cell

_BASE = "velora.nn.cells.base"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class CellRow:
    """Row of the table.

    Attributes:
        name: value of the setting ``cell``.
        place: module in this folder, and the class in it.
        modes: values of the setting ``cell_mode``, each with the kind of layer that kernels compute it as; ``None``
            runs under autograd.
        summary: meaning in a few words, for people.
        takes_time: whether the elapsed time acts inside the cell; other cells can only be given it as an input. A
            memory before the circuit (``mixed_memory``) is offered for these alone.
        is_circuit: whether the cell is one set of equations over all neurons; others are three layers on a wiring.
        kind: class of the cell, where its user has registered it; ours are imported from their place.
    """

    name: str
    place: tuple[str, str]
    modes: Mapping[str, Kind | None]
    summary: str
    takes_time: bool = False
    is_circuit: bool = False
    kind: Callable[..., Cell] | None = None

    @property
    def cell(self) -> Callable[..., Cell]:
        """The class of the cell, imported when it is asked for."""
        if self.kind is not None:
            return self.kind
        module, name = self.place
        found: Callable[..., Cell] = getattr(importlib.import_module(f"velora.nn.cells.{module}"), name)
        return found

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Options of :func:`velora.nn.cells.make_cell` by a name: every mode, and mixed memory where it is offered."""
        modes = {f"{self.name} {mode}": {"mode": mode} for mode in self.modes if mode != "default"}
        mixed = {f"{self.name} mixed": {"mixed_memory": True}} if self.takes_time else {}
        return {self.name: {}, **modes, **mixed}


CELLS = {
    row.name: row
    for row in (
        CellRow(
            "cfc",
            ("cfc", "CfCCell"),
            {"default": Kind.CFC, "pure": Kind.CFC_PURE, "no_gate": Kind.CFC_NO_GATE},
            "closed-form continuous-time cell (Hasani et al. 2022): a liquid neuron's solution as a formula, no solver",
            takes_time=True,
        ),
        CellRow(
            "ltc",
            ("ltc", "LTCCell"),
            {"default": Kind.LTC},
            "liquid time-constant cell (Hasani et al. 2021): leaky neurons and synapses, solved in six steps; slower",
            takes_time=True,
            is_circuit=True,
        ),
        CellRow(
            "leaky",
            ("leaky", "LeakyCell"),
            {"default": Kind.LEAKY, "no_reset": Kind.LEAKY_NO_RESET},
            "leaky gated cell: a neuron leaks towards a target, at a rate that input and state decide, solved exactly",
            takes_time=True,
        ),
        CellRow(
            "gru", ("gru", "GRUCell"), {"default": Kind.GRU}, "gated recurrent unit on the same wiring; ignores `dt`"
        ),
        CellRow(
            "gru_d",
            ("gru_d", "GRUDCell"),
            {"default": Kind.GRU_D},
            "GRU whose state decays with the elapsed time (Che et al. 2018): the usual baseline for irregular time",
            takes_time=True,
        ),
        CellRow(
            "lstm",
            ("lstm", "LSTMCell"),
            {"default": Kind.LSTM_LAYER},
            "long short-term memory on the same wiring; ignores `dt`",
        ),
        CellRow(
            "memoryless",
            ("memoryless", "MemorylessCell"),
            {"default": Kind.TANH},
            "tanh layers on the same wiring; ignores `dt` and the state",
        ),
    )
}

CELL_KINDS = tuple(CELLS)
LIQUID_KINDS = tuple(name for name, row in CELLS.items() if row.takes_time)
"""Cells in which the elapsed time acts; the others see it only as an input."""
VARIANTS = {name: options for row in CELLS.values() for name, options in row.variants.items()}
"""Every cell in every form; the first word of a name is the cell's."""
CELL_MODES = tuple(dict.fromkeys(mode for row in CELLS.values() for mode in row.modes))

OWN: dict[str, CellRow] = {}
"""Cells that users have registered, by module and name of their class."""


def register_cell(kind: type[Cell]) -> str:
    """Let agents use a cell of one's own, and checkpoints find it; :func:`velora.register` is the decorator for it.

    Kernels don't know such a cell, so it runs under autograd.

    Returns:
        The value of the setting ``cell`` that stands for it: ``"my_module.MyCell"``, or the short name of ours.

    Raises:
        SettingError: if it is no cell, or is defined in a function, where its name doesn't lead.
    """
    place = (kind.__module__, kind.__qualname__)
    if (_BASE, "Cell") not in [(base.__module__, base.__qualname__) for base in kind.__mro__[1:]]:
        raise SettingError(f"cell: expected a subclass of velora.nn.cells.Cell, got {kind!r}")
    for row in CELLS.values():
        if place == (f"velora.nn.cells.{row.place[0]}", row.place[1]):
            return row.name
    name = ".".join(place)
    if _NAME.fullmatch(name) is None:
        raise SettingError(f"register: expected a cell at the top of a module, got {name}")
    summary = (kind.__doc__ or "").partition("\n")[0]
    OWN[name] = CellRow(name, place, {"default": None}, summary, kind.takes_time, kind.is_circuit, kind)
    return name


def find_row(name: str) -> CellRow | None:
    """Return the row of a cell, ours or a registered one."""
    return CELLS.get(name) or OWN.get(name)


def is_foreign(name: object) -> bool:
    """Return whether a value of the setting ``cell`` names a class from outside Velora."""
    return isinstance(name, str) and "." in name


def takes_time(name: str) -> bool:
    """Return whether the elapsed time acts inside a cell."""
    row = find_row(name)
    return row is not None and row.takes_time


def row_of(cell: Cell) -> CellRow | None:
    """Find the row of a cell's class, ``None`` for somebody else's."""
    return next((row for row in CELLS.values() if type(cell) is row.cell), None)
