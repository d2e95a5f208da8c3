"""The C of a quantised policy has the bits of its NumPy model, and both do what the policy in float64 does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.export.agents import of_variant
from tests.unit.export.c.compiled import needs, run
from tests.unit.export.quantise.compiled import SANITISED, Compiled, assert_same_bits, needs_gcc, random_trace
from velora.core.errors import ExportError
from velora.export.c.target import write_files
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.export.quantise.files import c_files
from velora.export.quantise.judging import follow
from velora.export.quantise.making import Choices, quantise
from velora.export.quantise.model import Model
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.nn.cells.registry import VARIANTS

CELLS = [name for name in VARIANTS if name.split()[0] != "ltc"]
SOME = ["cfc", "cfc mixed", "gru", "gru_d", "leaky", "lstm"]
"""One cell of every formula with a state."""
FAST = ("cfc", "cfc mixed", "leaky")


def sorted_by_time(names: list[str], fast: tuple[str, ...]) -> list[Any]:
    """Mark all but a few as slow."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


def made(name: str, kind: type[Agent] = LiquidTD3, **more: Any) -> Policy:
    return describe(of_variant(name, kind, **more))


@needs_gcc
@pytest.mark.parametrize("name", sorted_by_time(CELLS, FAST))
def test_every_cell(name: str, tmp_path: Path) -> None:
    policy = made(name)
    trace = random_trace(policy)
    quantised = quantise(policy, trace)
    compiled = Compiled(quantised, trace, tmp_path)
    assert compiled.selftest() == 0
    fresh = random_trace(policy, seed=1)
    assert_same_bits(compiled, quantised, fresh)
    along = follow(Model(quantised), fresh)
    assert along.mean < 0.01 * along.span, along


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("time", ["input", "both", "none"])
@pytest.mark.parametrize("name", ["cfc", "cfc no_gate", "leaky"])
def test_every_time(name: str, time: str, tmp_path: Path) -> None:
    policy = made(name, LiquidSAC, time=time)
    trace = random_trace(policy)
    quantised = quantise(policy, trace)
    assert_same_bits(Compiled(quantised, trace, tmp_path), quantised, random_trace(policy, seed=1))
    along = follow(Model(quantised), random_trace(policy, seed=1))
    assert along.mean < 0.01 * along.span, along


@needs_gcc
@pytest.mark.parametrize(
    "options", [{"discrete": True}, pytest.param({"normalize_obs": True}, marks=pytest.mark.slow), {}]
)
def test_ppo(options: dict[str, Any], tmp_path: Path) -> None:
    agent = LiquidPPO(4, 12, 3, seed=1, **options)
    if agent.normaliser is not None:
        agent.normaliser.count_observations([0], np.random.default_rng(1).normal(5.0, 2.0, (1, 50, 4)))
    policy = describe(agent)
    trace = random_trace(policy, size=3.0)
    quantised = quantise(policy, trace)
    compiled = Compiled(quantised, trace, tmp_path)
    assert compiled.selftest() == 0
    assert_same_bits(compiled, quantised, random_trace(policy, seed=1, size=3.0))


@needs("cppcheck", "cppcheck")
@pytest.mark.slow
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("name", ["cfc", "gru_d mixed"])
def test_cppcheck_has_nothing_to_say(name: str, discrete: bool, tmp_path: Path) -> None:
    policy = made(name, LiquidPPO, discrete=True) if discrete else made(name)
    trace = random_trace(policy)
    write_files(c_files(quantise(policy, trace), trace), tmp_path)
    checks = ["--enable=warning,style,performance,portability", "--error-exitcode=1", "--quiet", "--std=c99"]
    run(["cppcheck", *checks, "--inline-suppr", str(tmp_path)])


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_weights_of_16_bits(name: str, tmp_path: Path) -> None:
    policy = made(name)
    trace = random_trace(policy)
    fine = quantise(policy, trace, Choices(16))
    assert_same_bits(Compiled(fine, trace, tmp_path), fine, trace)
    fresh = random_trace(policy, seed=1)
    along = follow(Model(fine), fresh)
    assert along.mean < 0.001 * along.span, along


@needs_gcc
@pytest.mark.parametrize("name", sorted_by_time(SOME, ("cfc",)))
def test_nothing_is_undefined(name: str, tmp_path: Path) -> None:
    policy = made(name, time="both" if name == "cfc" else "gate")
    trace = random_trace(policy)
    quantised = quantise(policy, trace)
    compiled = Compiled(quantised, trace, tmp_path, flags=("-O1", *SANITISED))
    model, state = Model(quantised), Model(quantised).begin(1)
    numbers = np.random.default_rng(2)
    values = np.array([0.0, -0.0, 1.0, -1.0, 1e9, -1e9, 1e-30, 1.1e9, np.nan, np.inf, -np.inf], np.float32)
    times = np.array([0.0, -1.0, 1e-6, 1e-3, 1.0, 16.0, 1e6, 1e30, np.nan, np.inf], np.float32)
    for step in range(400):
        some = values[:7] if step % 4 else values
        obs, dt = numbers.choice(some, policy.n_observations), numbers.choice(times)
        expected, state = model.step(obs[None], state, dt[None])
        action, found = compiled.step(obs, float(dt), starts=step == 0)
        assert found == state[0].tolist(), (obs, dt)
        assert action == expected[0].tolist()


def test_a_bad_observation_changes_nothing() -> None:
    policy = made("cfc")
    trace = random_trace(policy)
    model = Model(quantise(policy, trace))
    action, state = model.step(trace.obs[:1], model.begin(1), trace.dt[:1])
    for obs, dt in (([np.nan, 0, 0, 0], 1.0), ([0, 2e9, 0, 0], 1.0), ([0, 0, 0, 0], np.nan)):
        again, kept = model.step(np.array([obs], np.float32), state, np.array([dt], np.float32))
        assert np.array_equal(again, action)
        assert np.array_equal(kept, state)


def test_the_elapsed_time_counts() -> None:
    policy = describe(LiquidDDPG(3, 12, 1, seed=0))
    trace = random_trace(policy)
    model = Model(quantise(policy, trace))
    assert model.quantised.dt_bits == 12
    obs = np.repeat(trace.obs[:1], 3, 0)
    _, states = model.step(obs, model.begin(3), np.array([0.1, 1.0, 10.0], np.float32))
    assert len({tuple(state) for state in states.tolist()}) == 3


def test_a_cell_that_solves_an_equation_is_refused() -> None:
    policy = describe(LiquidTD3(3, 10, 1, seed=0, cell="ltc"))
    with pytest.raises(ExportError, match="dtype=int8: the cell ltc"):
        quantise(policy, random_trace(policy))
