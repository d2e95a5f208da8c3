"""torch.export: the module and the program do what the float64 replay does, and the file needs no Velora."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.export.agents import Step, distance, observe_much, of_variant
from velora.export import Replay, export
from velora.export.describe import describe
from velora.export.torch_program import PolicyModule
from velora.models import LiquidDDPG, LiquidPPO, LiquidTD3
from velora.nn.cells.registry import VARIANTS

ALONE = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
action, state = program(torch.full((3, 3), 0.5), torch.zeros(3, 9), torch.ones(3))
assert not any(name.partition(".")[0] == "velora" for name in sys.modules)
print(action[0].item())
"""


def stepped(module: torch.nn.Module) -> Step:
    def step(obs: object, state: object, dt: object) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            action, new = module(*(torch.as_tensor(one) for one in (obs, state, dt)))
        return action.numpy(), new.numpy()

    return step


@pytest.mark.parametrize("name", VARIANTS)
def test_every_cell_in_every_form(name: str) -> None:
    policy = describe(of_variant(name, time="both"))
    assert distance(policy, stepped(PolicyModule(policy))) < 2e-6


def test_a_discrete_action_and_normalised_observations() -> None:
    policy = describe(observe_much(LiquidPPO(4, 12, 3, seed=1, discrete=True, normalize_obs=True)))
    assert distance(policy, stepped(PolicyModule(policy))) < 2e-6
    module = PolicyModule(policy)
    assert module(torch.zeros(2, 4), torch.zeros(2, policy.n_state), torch.ones(2))[0].dtype is torch.int64


@pytest.mark.slow
def test_a_program_runs_without_velora(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 8, 1, seed=0)
    policy = describe(agent)
    out = export(agent, "torch", tmp_path / "policy.pt2").out
    assert not any(word in out.read_bytes() for word in (str(Path.cwd()).encode(), b"site-packages", b".py"))
    assert any(name.endswith("velora.policy") for name in zipfile.ZipFile(out).namelist())
    words = [sys.executable, "-W", "ignore", "-c", ALONE, str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=250, check=True, cwd=tmp_path)
    expected, _ = Replay(policy).step(np.full(3, 0.5), np.zeros(policy.n_state))
    assert float(done.stdout) == pytest.approx(expected[0], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_cell_becomes_a_program(name: str, tmp_path: Path) -> None:
    agent = of_variant(name, LiquidTD3, time="both")
    policy = describe(agent)
    out = export(agent, "torch", tmp_path / "policy.pt2").out
    assert distance(policy, stepped(torch.export.load(out).module())) < 2e-6
