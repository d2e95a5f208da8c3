"""Whatever is made from the table of cells is as the table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from velora.kernels import generate
from velora.kernels.arrays.layer import LAYERS
from velora.kernels.arrays.workspace import Memory
from velora.kernels.layers import Kind
from velora.nn.cells import CELLS, make_cell
from velora.nn.cells.registry import VARIANTS, row_of
from velora.nn.run.describe import cell_plan
from velora.nn.wiring import auto_ncp

ROOT = Path(__file__).parents[3]


def test_the_tables_of_c_need_nothing_but_python() -> None:
    """They are written where the package is built, with nothing else installed."""
    nothing = "import sys; sys.modules.update(dict.fromkeys(('numpy', 'torch', 'pydantic')))\n"
    program = nothing + "from velora.kernels import generate; print(generate.tables(), end='')"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == generate.tables()


def test_arrays_compute_every_kind_of_layer() -> None:
    assert Memory.__module__  # importing it fills the table
    assert set(LAYERS) == set(Kind)


@pytest.mark.parametrize("variant", VARIANTS)
def test_kernels_compute_every_cell_as_its_row_says(variant: str) -> None:
    name, options = variant.split()[0], VARIANTS[variant]
    cell = make_cell(name, [auto_ncp(3, 9, 2)], [torch.Generator().manual_seed(0)], **options)
    plan = cell_plan(cell)
    assert plan is not None
    expected = CELLS[name].modes[options.get("mode", "default")]
    assert {layer.kind for layer in plan.layers} - {Kind.LSTM} == {expected}
    assert all(len(layer.at) == len(layer.kind.value.tensors) for layer in plan.layers)


def test_a_cell_of_somebody_elses_has_no_row() -> None:
    cell = make_cell("gru", [auto_ncp(3, 9, 2)], [torch.Generator().manual_seed(0)])
    assert row_of(cell) is None
    assert row_of(cell.layers[0]) is CELLS["gru"]  # type: ignore[index, arg-type]


def test_the_guide_lists_every_cell() -> None:
    lines = (ROOT / "docs/guide/liquid-cells.md").read_text().splitlines()
    begin = lines.index("| `cell=` | what it is |") + 2
    rows = [f'| `"{row.name}"` | {row.summary} |' for row in CELLS.values()]
    assert lines[begin : begin + len(rows) + 1] == [*rows, ""]


def test_knowing_the_cells_needs_no_pytorch() -> None:
    program = "import sys, velora.nn.cells.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
