"""``to=c dtype=int8``: calibrated, judged, refused where it costs too much, and the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import velora
from velora.core.errors import ExportError
from velora.export.exporting import export
from velora.export.quantise.judging import Judgement
from velora.models import LiquidDDPG, LiquidTD3

FILES = {"Makefile", "calibration.json", "main.c", "policy.c", "policy.h", "policy.json", "selftest.c"}
ZOO = Path(velora.__file__).parent / "zoo"


def test_the_same_checkpoint_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        done = export(ZOO / "pendulum", "c", tmp_path / name, dtype="int8", episodes=1, judge=2)
        assert "of 4" in done.notes["actions"]
        assert "2 paired episodes" in done.notes["return"]
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("first", "second"))
    assert first == second
    assert set(first) == FILES
    said = json.loads(first["calibration.json"])
    assert said["calibration"]["seed"] == 0
    assert said["calibration"]["steps"] == 200
    assert said["return"]["off_by"] == 5.0
    assert said["actions"]["mean"] < 0.1


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    told = list[tuple[str, int]]()

    class Listener:
        def begin(self, what: str, total: int, unit: str = "") -> None:
            told.append((f"{what} {total} {unit}".strip(), 0))

        def advance(self, n: int = 1) -> None:
            told.append((told[-1][0], told[-1][1] + n))

    done = export(ZOO / "pendulum", "c", tmp_path / "c", dtype="int8", episodes=1, judge=2, progress=Listener())
    assert dict(told) == {"calibrating 4 episode": 4, "rounding 1": 0, "judging 4 episode": 4}
    assert done.notes["dt"] == (
        "from 0.000244 to 16 control steps in whole numbers; what is below or above counts as that"
    )


STEPS, RESETS = 20, [0]


class Growing(gym.Env[Any, Any]):
    """Observations that are small in the episodes of calibration, and large afterwards; the reward is the action."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, sign: float) -> None:
        self._sign, self._left = sign, 0

    def _obs(self) -> np.ndarray[Any, Any]:
        scale = 0.1 if RESETS[0] <= 5 else 5.0
        return (self.np_random.normal(size=3) * scale).astype(np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        RESETS[0] += 1
        self._left = STEPS
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._left -= 1
        return self._obs(), self._sign * float(action[0]), self._left == 0, False, {}


@pytest.fixture
def growing() -> Iterator[None]:
    RESETS[0] = 0
    for name, sign in (("Plus-v0", 1.0), ("Minus-v0", -1.0)):
        gym.register(name, partial(Growing, sign))
    yield
    for name in ("Plus-v0", "Minus-v0"):
        del gym.registry[name]


def test_what_costs_too_much_is_refused(growing: None, tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 10, 1, seed=3)
    refused = []
    for name in ("Plus-v0", "Minus-v0"):
        RESETS[0] = 0
        try:
            done = export(agent, "c", tmp_path / name, dtype="int8", env=name, episodes=2, judge=6, limit=0.01)
            assert done.notes["return"].startswith("+")
        except ExportError as error:
            refused.append((name, str(error)))
    ((name, text),) = refused  # what one loses the other gains
    assert "costs" in text
    assert "limit 0.01" in text
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "calibration needs episodes of the environment, and the agent names none"),
        ({"env": "NoSuch-v0"}, "calibration needs episodes of the environment: .*NoSuch-v0"),
        ({"env": "CartPole-v1"}, "expected observations of 3 numbers"),
        ({"episodes": 0}, "episodes: expected a whole number of at least 1, got '0'"),
        ({"seed": "one"}, "seed: expected a whole number"),
        ({"limit": -1}, "limit: expected what the median episode may lose"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=expected) as error:
        export(LiquidDDPG(3, 10, 1, seed=0), "c", tmp_path / "policy", dtype="int8", **options)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cell_without_a_form_is_refused_before_it_plays(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="dtype=int8: the cell ltc"):
        export(LiquidTD3(3, 10, 1, seed=0, cell="ltc"), "c", tmp_path / "policy", dtype="int8", env="Pendulum-v1")


def judged(difference: float, lost: float, gained: float) -> Judgement:
    return Judgement(100, -150.0, difference, difference, 5.0, lost, gained, 1.5)


def test_the_median_and_chance_decide() -> None:
    assert not judged(-0.1, 0.02, 0.01).costs_too_much
    assert judged(-1.6, 0.0, 0.0).costs_too_much
    assert not judged(0.0, 0.45, 0.45).costs_too_much  # a chaotic task: any rounding changes its episodes
    assert judged(0.0, 0.4, 0.05).costs_too_much


def test_another_environment_has_to_take_the_same_actions(tmp_path: Path) -> None:
    agent = LiquidTD3(2, 8, 1, seed=0, device="cpu")
    with pytest.raises(ExportError, match=r"MountainCar-v0: expected continuous actions .*; give another as env="):
        export(agent, "c", tmp_path / "policy", dtype="int8", env="MountainCar-v0", episodes=1, judge=0)
    assert list(tmp_path.iterdir()) == []
