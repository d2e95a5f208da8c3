"""Policies under a clock that isn't regular: Pendulum from positions, driven by the loop of ``velora drive``.

The clock is virtual, so that what a policy meets is the same in every run: ticks that come late by a random share of
the period, and readings that are lost. The physics is that of a simulated plant, in fifths of a control step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.cli.main import main
from velora.cli.run.saved_environment import saved_wrappers
from velora.cli.settings.objects import make_environment
from velora.drive import AgentController, Controller, DriveSettings, Loop, Plant, Reading, SimulatedPlant, VirtualClock
from velora.models import Agent, LiquidTD3

SEEDS, EPISODES, N_STEPS = 5, 10, 30_000
STEP_S, PHYSICS = 0.05, 5
ARMS = {
    "CfC, dt in the gate": ("cfc", "gate"),
    "GRU, dt as input": ("gru", "input"),
    "GRU, no dt": ("gru", "none"),
    "CfC, no dt": ("cfc", "none"),
}
TOLD_ONE = "CfC, dt in the gate, told 1 always"


@dataclass(frozen=True, slots=True)
class Condition:
    """A clock.

    Attributes:
        rate: ticks in a second; the control step is a twentieth.
        late: a tick begins late by up to this share of the period, uniformly.
        lost: share of the readings that don't arrive.
    """

    name: str
    rate: float = 20.0
    late: float = 0.0
    lost: float = 0.0


CONDITIONS = (
    Condition("regular"),
    Condition("late by up to 95 %", late=0.95),
    Condition("30 % of readings lost", lost=0.3),
    Condition("60 % lost", lost=0.6),
    Condition("late by up to 95 %, 30 % lost", late=0.95, lost=0.3),
    Condition("half the rate", rate=10.0),
)


class Lossy:
    """A plant of whose readings some get lost; their rewards come with the next."""

    def __init__(self, plant: Plant, share: float, draw: np.random.Generator) -> None:
        self._plant, self._share, self._draw, self._owed = plant, share, draw, 0.0

    def read(self) -> Reading | None:
        """Return the newest reading, or lose it; the ends of episodes never are."""
        reading = self._plant.read()
        if reading is None:
            return None
        is_edge = reading.begins or reading.terminated or reading.truncated
        if not is_edge and self._draw.random() < self._share:
            self._owed += reading.reward
            return None
        owed, self._owed = self._owed, 0.0
        return reading._replace(reward=reading.reward + owed)

    def write(self, action: NDArray[Any]) -> None:
        """Pass it on."""
        self._plant.write(action)

    def close(self) -> None:
        """Close the plant."""
        self._plant.close()


class ToldOne:
    """A controller that never learns how much time has passed."""

    def __init__(self, inner: Controller) -> None:
        self._inner, self.sizes, self.name = inner, inner.sizes, inner.name

    def begin(self) -> None:
        """See :class:`velora.drive.Controller`."""
        self._inner.begin()

    def act(self, reading: Reading, dt: float) -> NDArray[Any]:
        """Act as if a control step had passed."""
        return self._inner.act(reading, 1.0)

    def rehearse(self) -> None:
        """See :class:`velora.drive.Controller`."""
        self._inner.rehearse()

    def close(self) -> None:
        """See :class:`velora.drive.Controller`."""
        self._inner.close()


def train(runs: Path) -> None:
    """Train every arm with five seeds side by side, on actions that are held for one to four control steps."""
    for cell, time in ARMS.values():
        own = [f"agent.cell={cell}", f"agent.time={time}", f"hydra.run.dir={runs / f'{cell}-{time}'}"]
        small = ["agent.sequence_length=6", "agent.burn_in=2", "agent.warmup_steps=500", "train.batch_size=24"]
        common = ["experiment=irregular_time", "env/previous=none", "agent.mixed_memory=false"]
        length = [f"train.n_steps={N_STEPS}", f"train.seeds={SEEDS}", "checkpoint.frequency=50"]
        code = main(["train", *common, *small, *own, *length, "train.evaluation_episodes=1", "device=cpu"])
        assert code == 0, own


def play(agent: Agent, path: Path, condition: Condition, wrapped: Callable[[Controller], Controller]) -> float:
    """Return the mean return of an agent's episodes under a clock."""
    draw = np.random.default_rng(11)
    most = condition.late * 1e9 / condition.rate
    clock = VirtualClock(lateness=lambda: int(draw.random() * most))
    wrappers = [one for one in saved_wrappers(path, agent.environment) if one["name"] != "HoldAction"]
    env = make_environment("Pendulum-v1", {}, wrappers=wrappers)
    plant = SimulatedPlant(env, physics=PHYSICS, clock=clock.now, seed=1_000)
    ticks = int(EPISODES * 200 * STEP_S * condition.rate * 1.3)
    settings = DriveSettings(rate=condition.rate, step_s=STEP_S, steps=ticks, silent_s=100.0, misses=10**9)
    loop = Loop(wrapped(AgentController(agent)), Lossy(plant, condition.lost, draw), settings, clock=clock)
    driven = loop.run()
    env.close()
    returns = driven.tally.episodes[:EPISODES]
    assert len(returns) == EPISODES, (driven.ended, len(returns))
    return float(np.mean(returns))


def play_arm(runs: Path, name: str) -> Path:
    """Play an arm under every clock, and keep the returns beside its run: way, condition, seed."""
    cell, time = ARMS[name]
    found = [one / "final" for one in sorted((runs / f"{cell}-{time}" / "checkpoints").glob("seed*"))]
    agents = [(LiquidTD3.load(path, device="cpu"), path) for path in found]
    assert len(agents) == SEEDS, f"{name}: expected {SEEDS} seeds in {runs}, found {len(agents)}; train first"
    ways: dict[str, Callable[[Controller], Controller]] = {name: lambda one: one}
    if (cell, time) == ("cfc", "gate"):
        ways[TOLD_ONE] = ToldOne
    results = {
        way: [[play(agent, path, condition, wrapped) for agent, path in agents] for condition in CONDITIONS]
        for way, wrapped in ways.items()
    }
    out = runs / f"{cell}-{time}.json"
    out.write_text(json.dumps(results))
    return out


def table(runs: Path) -> str:
    """Write the table of the arms that were played."""
    played = [runs / f"{cell}-{time}.json" for cell, time in ARMS.values()]
    results: dict[str, list[list[float]]] = {}
    for path in played:
        if path.is_file():
            results |= json.loads(path.read_text())
    return _written(results)


def _written(results: Mapping[str, Sequence[Sequence[float]]]) -> str:
    head = "| | " + " | ".join(condition.name for condition in CONDITIONS) + " |"
    lines = [head, "|---" * (len(CONDITIONS) + 1) + "|"]
    for way, rows in results.items():
        lines.append(f"| {way} | " + " | ".join(_cell(row) for row in rows) + " |")
    return "\n".join(lines) + "\n"


def _cell(returns: Sequence[float]) -> str:
    """Write the mean over seeds, and the worst and the best seed."""
    return f"{np.mean(returns):.0f} [{min(returns):.0f}, {max(returns):.0f}]"
