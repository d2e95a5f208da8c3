"""Compiled policies against the float64 replay, and against the bits that NumPy computes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.export.agents import WITH_TIME
from tests.unit.export.c.compiled import STRICT, Compiled, needs, needs_gcc, run
from tests.unit.export.c.policies import by_hand, of_cell
from velora.core import zoo
from velora.export.c.bits import Bits
from velora.export.c.target import write_c
from velora.export.describe import describe
from velora.export.policy import Normalisation, Policy
from velora.export.replay import Replay
from velora.models import LiquidPPO
from velora.models.loading import load
from velora.nn.cells.registry import VARIANTS

pytestmark = needs_gcc
LARGEST = 5e-5
SUBSET = ("cfc", "cfc pure", "ltc", "leaky", "gru_d", "lstm", "cfc mixed")
"""Cells of the default tests: every loop and every function in C is in one of them."""


def live(policy: Policy, out: Path, *, steps: int) -> float:
    """Step three of a kind through random observations and times; return the largest error of actions and states."""
    compiled, replay, bits = Compiled(policy, out), Replay(policy), Bits(policy)
    numbers, largest = np.random.default_rng(0), 0.0
    exact, expected, state = np.zeros(policy.n_state), np.zeros(policy.n_state, np.float32), compiled.reset()
    for step in range(steps):
        obs = numbers.normal(size=policy.n_observations).astype(np.float32)
        dt = float(np.float32(np.exp(numbers.normal())))
        action, state = compiled.step(obs, state, dt)
        reference, exact = replay.step(obs, exact, dt)
        largest = max(largest, float(np.abs(state - exact).max()))
        if not policy.is_discrete:
            half = policy.units.arrays[2]  # type: ignore[union-attr]
            largest = max(largest, float((np.abs(action - reference) / half).max()))
        if step < 100:
            wanted, expected = bits.step(obs, expected, dt)
            assert action.tobytes() == wanted.astype(action.dtype).tobytes(), step
            assert state.tobytes() == expected.tobytes(), step
    assert compiled.selftest() == 0
    return largest


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in SUBSET else pytest.mark.slow) for n in VARIANTS])
@pytest.mark.some(3)
def test_every_cell(name: str, tmp_path: Path) -> None:
    assert live(of_cell(name), tmp_path, steps=60 if name in SUBSET else 1000) < LARGEST


@pytest.mark.slow
@pytest.mark.parametrize(("name", "time"), WITH_TIME)
def test_every_cell_with_every_time(name: str, time: str, tmp_path: Path) -> None:
    assert live(of_cell(name, time=time), tmp_path, steps=1000) < LARGEST


@pytest.mark.parametrize("options", [{"discrete": True, "time": "both"}, {"normalize_obs": True, "cell": "gru"}])
def test_ppo(options: dict[str, object], tmp_path: Path) -> None:
    policy = describe(LiquidPPO(4, 12, 3, seed=1, **options))  # type: ignore[arg-type]
    if "discrete" not in options:
        mean, factor = np.arange(4, dtype=np.float32), np.array([0.5, 1.0, 2.0, 400.0], np.float32)
        policy = replace(policy, normalisation=Normalisation(mean, factor, 10.0))
    assert live(policy, tmp_path, steps=60) < LARGEST


ZOO = [pytest.param(name, marks=[] if name == "half-cheetah" else pytest.mark.slow) for name in zoo.scores()]


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name: str, tmp_path: Path) -> None:
    steps = 50 if name == "half-cheetah" else 1000
    assert live(describe(load(zoo.find(name))), tmp_path, steps=steps) < LARGEST


def test_a_bad_observation_changes_nothing(tmp_path: Path) -> None:
    compiled = Compiled(of_cell("cfc"), tmp_path)
    good = np.array([0.1, 0.2, 0.3, 0.4])
    action, state = compiled.step(good, compiled.reset(), 1.0)
    for number in (np.nan, np.inf, -np.inf, 1.1e9):
        again, same = compiled.step(np.array([0.1, number, 0.3, 0.4]), state, 1.0)
        assert (again.tobytes(), same.tobytes()) == (action.tobytes(), state.tobytes())
    again, same = compiled.step(good, state, float("nan"))
    assert (again.tobytes(), same.tobytes()) == (action.tobytes(), state.tobytes())


@pytest.mark.parametrize("name", ["cfc", pytest.param("leaky", marks=pytest.mark.slow)])
def test_extremes_are_finite_and_within_bounds(name: str, tmp_path: Path) -> None:
    """Without undefined behaviour: the library ends the process where it meets any."""
    policy = of_cell(name)
    compiled = Compiled(
        policy, tmp_path, "-fsanitize=undefined,float-cast-overflow", "-fsanitize-undefined-trap-on-error"
    )
    state = compiled.reset()
    for obs in (1e9, -1e9, 1e-40, 0.0):
        for dt in (0.0, -1.0, 1e-6, 1e6, 1e30):
            action, state = compiled.step(np.full(4, obs), state, dt)
            assert np.isfinite(state).all()
            assert (np.abs(action) <= 1.0).all()


def test_a_dt_outside_counts_as_the_nearest_one(tmp_path: Path) -> None:
    compiled = Compiled(of_cell("cfc"), tmp_path)
    for outside, nearest in ((0.0, 1e-6), (-5.0, 1e-6), (1e9, 1e6)):
        action, state = compiled.step(np.ones(4), compiled.reset(), outside)
        wanted, same = compiled.step(np.ones(4), compiled.reset(), nearest)
        assert (action.tobytes(), state.tobytes()) == (wanted.tobytes(), same.tobytes())


@needs("nm", "binutils")
def test_no_memory_and_no_library(tmp_path: Path) -> None:
    write_c(of_cell("leaky mixed", time="both"), tmp_path)
    run(["gcc", "-Os", *STRICT, "-ffreestanding", "-c", "policy.c", "-o", "policy.o"], cwd=tmp_path)
    symbols = run(["nm", "policy.o"], cwd=tmp_path).splitlines()
    assert {line.split()[-1] for line in symbols if " U " in line} <= {"memset", "memcpy"}
    assert not [line for line in symbols if re.search(r" [bBdDcC] ", line)], "no variables that stay"
    assert {line.split()[-1] for line in symbols if " T " in line} == {"policy_reset", "policy_step"}


def test_the_example_program(tmp_path: Path) -> None:
    policy = by_hand()
    write_c(policy, tmp_path)
    run(["make", "test", "CC=gcc", "CFLAGS=-O1"], cwd=tmp_path)
    lines = "0.5 -1 0.25\n0.5 -1 0.25 2.5\nreset\n0.5 -1 0.25\n"
    first, second, third = run([str(tmp_path / "policy")], input=lines).split()
    replay = Replay(policy)
    action, state = replay.step(np.array([0.5, -1.0, 0.25]), np.zeros(2), 1.0)
    assert float(first) == float(third) == pytest.approx(float(action[0]), abs=1e-6)
    assert float(second) == pytest.approx(float(replay.step(np.array([0.5, -1.0, 0.25]), state, 2.5)[0][0]), abs=1e-6)


def test_fused_operations_are_noticed(tmp_path: Path) -> None:
    """The self-test answers 2 where actions are right and the bits aren't."""
    policy = by_hand()
    write_c(policy, tmp_path)
    text = (tmp_path / "selftest.c").read_text(encoding="utf-8")
    (tmp_path / "selftest.c").write_text(
        re.sub(r"seen != UINT32_C\(\d+\)", "seen != UINT32_C(1)", text), encoding="utf-8"
    )
    run(["make", "CC=gcc", "CFLAGS=-O1"], cwd=tmp_path)
    with pytest.raises(AssertionError, match="other bits"):
        run([str(tmp_path / "policy"), "selftest"])


@pytest.mark.slow
@needs("clang", "clang")
@pytest.mark.parametrize("name", VARIANTS)
def test_clang_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    assert Compiled(of_cell(name), tmp_path, compiler="clang").selftest() == 0


@pytest.mark.slow
@needs("cppcheck", "cppcheck")
@pytest.mark.parametrize("name", ["cfc", "ltc", "leaky mixed"])
def test_cppcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    write_c(of_cell(name, time="both"), tmp_path)
    checks = ["--enable=warning,style,performance,portability", "--error-exitcode=1", "--quiet", "--std=c99"]
    run(["cppcheck", *checks, "--inline-suppr", str(tmp_path)])


@pytest.mark.slow
@needs("avr-gcc", "gcc-avr avr-libc")
@pytest.mark.parametrize("name", VARIANTS)
def test_avr_compiles_without_warnings(name: str, tmp_path: Path) -> None:
    write_c(of_cell(name, time="both" if name != "gru" else "input"), tmp_path)
    for source in ("policy.c", "selftest.c"):
        run(["avr-gcc", "-mmcu=atmega328p", "-Os", *STRICT, "-c", source, "-o", "one.o"], cwd=tmp_path)
