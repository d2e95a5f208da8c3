"""Cells from outside Velora: registered, used by every agent, saved, and never imported by a file."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import velora
from tests.shared import QUIET
from tests.unit.models.own_cells import Integrator, Timeless
from velora.core.errors import CheckpointError, SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidTD3
from velora.nn.cells import CELLS, Cell, CfCCell, make_cell
from velora.nn.cells.registry import OWN, register_cell, takes_time
from velora.nn.sequence import unroll
from velora.nn.wiring import auto_ncp

NAME = "tests.unit.models.own_cells.Integrator"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    before = dict(OWN)
    OWN.clear()
    yield
    OWN.clear()
    OWN.update(before)


@pytest.mark.parametrize("name", CELLS)
def test_a_class_says_of_itself_what_its_row_says(name: str) -> None:
    row = CELLS[name]
    kind: type[Cell] = row.cell  # type: ignore[assignment]
    assert (kind.takes_time, kind.is_circuit) == (row.takes_time, row.is_circuit)


def test_the_decorator_returns_the_class_and_its_name_is_known() -> None:
    assert velora.register(Integrator) is Integrator
    agent = LiquidDDPG(3, 5, 1, cell=NAME, device="cpu", seed=0)  # type: ignore[arg-type]
    assert type(agent.actor.cell.layers[0]) is Integrator  # type: ignore[index]
    assert takes_time(NAME)
    register_cell(Timeless)
    assert not takes_time("tests.unit.models.own_cells.Timeless")


def test_a_class_may_be_given_itself() -> None:
    assert LiquidDDPG(3, 5, 1, cell=Integrator, device="cpu").settings.cell == NAME
    assert LiquidDDPG(3, 5, 1, cell=CfCCell, device="cpu").settings.cell == "cfc"


def test_a_circuit_of_it_unrolls_as_it_steps() -> None:
    register_cell(Integrator)
    cell = make_cell(NAME, [auto_ncp(3, 8, 2)], [torch.Generator().manual_seed(0)])
    x, dt, h = torch.randn(1, 4, 6, 3), torch.rand(1, 4, 6), cell.initial_state(4)
    states, last = unroll(cell, x, h, dt)
    for t in range(6):
        h = cell(x[:, :, t], h, dt[:, :, t])
        torch.testing.assert_close(states[:, :, t], h)
    torch.testing.assert_close(last, h)


@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidTD3, LiquidPPO])
def test_agents_learn_with_it(kind: type[Agent]) -> None:
    own: dict[str, Any] = (
        {"rollout_steps": 64} if kind is LiquidPPO else {"warmup_steps": 50, "critic": "recurrent", "burn_in": 2}
    )
    agent = kind(3, 5, 1, cell=Integrator, seeds=[0, 1], device="cpu", **own)
    rate = agent.actor.cell.layers[0].rate  # type: ignore[union-attr, index]
    before = rate.clone()
    agent.train("Pendulum-v1", 16, n_steps=130, **QUIET)
    assert torch.isfinite(rate).all()
    assert (rate != before).flatten(1).any(1).all()  # of every seed


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 5, 1, cell=Integrator, seed=0, device="cpu")
    path = agent.save(tmp_path / "ep1")
    obs = np.array([0.1, 0.2, 0.3], np.float32)
    assert np.array_equal(velora.load(path).predict(obs)[0], agent.predict(obs)[0])
    OWN.clear()
    with pytest.raises(CheckpointError, match="is a class from outside Velora that nothing has registered; import"):
        velora.load(path)
    verdict = velora.verify(path).found[0]
    assert verdict.problem is None
    assert verdict.note == f"with a cell '{NAME}', which isn't registered here: only its bytes were checked"


def test_loading_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "struck.py").write_text("raise AssertionError('imported')")
    register_cell(Integrator)
    path = LiquidDDPG(3, 5, 1, cell=Integrator, seed=0, device="cpu").save(tmp_path / "ep1")
    metadata = path / "metadata.json"
    assert NAME in metadata.read_text()
    OWN.clear()
    modules = set(sys.modules)
    with pytest.raises(CheckpointError):
        velora.load(path)
    assert set(sys.modules) == modules


@pytest.mark.slow
def test_copies_have_it_too_and_pickle_imports_its_class() -> None:
    agent = LiquidDDPG(3, 5, 1, cell=Integrator, seed=0, device="cpu")
    obs = np.array([0.1, 0.2, 0.3], np.float32)
    expected = agent.predict(obs)[0]
    data = pickle.dumps(agent)
    OWN.clear()
    assert np.array_equal(pickle.loads(data).predict(obs)[0], expected)
    assert np.array_equal(copy.deepcopy(agent).predict(obs)[0], expected)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).settings.cell)"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.decode().strip() == NAME


def test_what_is_no_cell_is_refused() -> None:
    class Local(Integrator):
        pass

    for cell, message in (
        (int, "cell: expected a subclass of velora.nn.cells.Cell, got <class 'int'>"),
        (Local, "register: expected a cell at the top of a module, got "),
        (NAME, "cell: 'tests.unit.models.own_cells.Integrator' is a class from outside Velora that nothing has"),
        ("cfcc", "cell: input should be 'cfc'"),
    ):
        with pytest.raises(SettingError) as error:
            LiquidDDPG(3, 5, 1, cell=cell, device="cpu")  # type: ignore[arg-type]
        assert message in str(error.value)


def test_only_agents_and_cells_are_registered() -> None:
    with pytest.raises(SettingError, match=r"expected a subclass of velora.models.Agent or velora.nn.cells.Cell"):
        velora.register(int)  # type: ignore[type-var]
