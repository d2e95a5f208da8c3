"""Short runs on Pendulum, to the bit the same each time, and what their loggers were sent."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
from lightning.pytorch.loggers import CSVLogger

from tests.shared import QUIET, digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import Agent, LiquidDDPG
from velora.training import TrainResult

STEPS = 6
"""Steps of an episode."""


def pendulum() -> gym.Env[Any, Any]:
    return gym.make("Pendulum-v1", max_episode_steps=STEPS)


def make(kind: type[Agent] = LiquidDDPG, **settings: Any) -> Agent:
    own = {} if "seeds" in settings else {"seed": 1}
    base = {"warmup_steps": 0, "buffer_size": 100} if kind is not _ppo() else {}
    return kind(3, 6, 1, **{"device": "cpu", **own, **base, **settings})


def _ppo() -> type[Agent]:
    from velora.models import LiquidPPO

    return LiquidPPO


def train(*callbacks: Any, agent: Agent | None = None, n_episodes: int = 6, **settings: Any) -> TrainResult:
    own = settings.pop("env", None) or pendulum()
    return (agent or make()).train(own, 4, n_episodes=n_episodes, callbacks=list(callbacks), **QUIET, **settings)


def resumed_is_whole(home: Path, make_callbacks: Callable[[], list[Callback]], make_agent: Any = make) -> bool:
    """Train 6 episodes at once, and again with a stop in the middle of the third; return whether the bits are equal."""
    train(*make_callbacks(), SaveCheckpoints(home / "whole", frequency=None), agent=make_agent())
    train(*make_callbacks(), SaveCheckpoints(home / "cut", frequency=None), agent=make_agent(), n_steps=15)
    again = [*make_callbacks(), SaveCheckpoints(home / "cut", frequency=None)]
    train(*again, agent=make_agent(), resume=home / "cut")
    return final(home / "whole") == final(home / "cut")


def final(home: Path) -> dict[str, dict[str, str]]:
    return {str(path.relative_to(home)): digests(path) for path in sorted(home.rglob("final"))}


def logged(home: Path, *callbacks: Any, **settings: Any) -> dict[str, list[tuple[int, float]]]:
    """Train, and return every number that a logger was sent, by name: (step, value) in order."""
    logger = CSVLogger(home, name="", version="")
    train(*callbacks, logger=logger, **settings)
    found: dict[str, list[tuple[int, float]]] = {}
    with (home / "metrics.csv").open() as rows:
        for row in csv.DictReader(rows):
            for name, value in row.items():
                if name != "step" and value:
                    found.setdefault(name, []).append((int(row["step"]), float(value)))
    return found
