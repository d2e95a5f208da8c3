"""Measure our agents: training, time to solve, saving and loading. Runs as a process, as the peers do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.peers.protocol import Answer, Settings, median_ms, serve, time_checkpoints
from benchmarks.speed.arithmetic import mflop
from velora import models
from velora.callbacks import Callback, EarlyStopping
from velora.core.types import Metrics
from velora.nn.parameters import count_parameters

SIZES = {"InvertedPendulum-v5": (4, 1), "Pendulum-v1": (3, 1)}
"""State and action dimensions."""
FOREVER = 1_000_000_000
Agent: TypeAlias = models.LiquidDDPG | models.LiquidTD3 | models.LiquidSAC


class Clock(Callback):
    """Time the updates of a run, after some that don't count, and end it when the time is up.

    Args:
        skip: updates before the clock starts.
        seconds: how long to measure.
    """

    def __init__(self, *, skip: int, seconds: float) -> None:
        self._skip, self._seconds = skip, seconds
        self._started = 0.0
        self.updates = 0
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Metrics, batch: Any, batch_idx: int) -> None:
        """Look at the clock."""
        now = time.perf_counter()
        if batch_idx == self._skip:
            self._started = now
        elif batch_idx > self._skip and now - self._started >= self._seconds and not self.updates:
            self.updates, self.seconds = batch_idx - self._skip, now - self._started
            trainer.stop("measured")


class Limit(Callback):
    """Give up when the time is up.

    Args:
        started: when the process was started, as ``time.time()``.
        limit_s: counted from there.
    """

    def __init__(self, *, started: float, limit_s: float) -> None:
        self._ends = started + limit_s

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Metrics, batch: Any, batch_idx: int) -> None:
        """Look at the clock."""
        if time.time() > self._ends:
            trainer.stop("out of time")


def make_agent(settings: Settings) -> Agent:
    """Make the agent that is measured: a LiquidDDPG if no other algorithm is named."""
    state_dim, action_dim = SIZES[settings["env"]]
    make: type[Agent] = getattr(models, f"Liquid{settings.get('algorithm', 'DDPG')}")
    more = settings.get("agent", {})
    return make(
        state_dim, settings["n"], action_dim, kernel=settings["kernel"], device=settings.get("device", "cpu"), **more
    )


def step_mflop(agent: Agent, batch_size: int) -> float:
    """Return the arithmetic of one update of one seed: every weight in use counts."""
    weights = {name: count_parameters(agent.networks[name]).active for name in agent.learning_rates()}
    return mflop(
        type(agent).__name__.removeprefix("Liquid"),
        actor=weights["actor"],
        critic=weights["critic" if "critic" in weights else "critic_1"],
        samples=batch_size * agent.settings.sequence_length,
        policy_delay=getattr(agent.settings, "policy_delay", 1),
    )


def _timed(agent: Agent, settings: Settings) -> Clock:
    """Train as a user does, with progress bar, summary and the metrics on the disk."""
    clock = Clock(skip=settings["skip"], seconds=settings["seconds"])
    agent.train(
        settings["env"],
        settings["batch_size"],
        n_steps=FOREVER,
        callbacks=[clock],
        run_dir=Path("run"),
        threads=settings["threads"],
    )
    return clock


def train(settings: Settings) -> Answer:
    """Rows 1, 5 and 8; with several seeds the steps of all are counted."""
    agent = make_agent(settings)
    clock = _timed(agent, settings)
    steps = clock.updates * agent.n_seeds
    rates = {"steps": steps, "seconds": clock.seconds, "steps_per_s": steps / clock.seconds}
    return {**rates, "step_mflop": step_mflop(agent, settings["batch_size"])}


def solve(settings: Settings) -> Answer:
    """Row 2: until the callback that ships with us stops the run."""
    agent = make_agent({**settings, "agent": {**settings["agent"], "seed": settings["seed"]}})
    result = agent.train(
        settings["env"],
        settings["batch_size"],
        n_steps=FOREVER,
        callbacks=[
            EarlyStopping(target=settings["target"]),
            Limit(started=settings["started"], limit_s=settings["limit_s"]),
        ],
        run_dir=Path("run"),
    )
    elapsed = time.time() - settings["started"]
    is_solved = "reached the target" in (result.stop_reason or "")
    return {"solved_s": elapsed if is_solved else None, "steps": agent.progress[0].step}


def scaling(settings: Settings) -> Answer:
    """Rows 4 and 7: a step with all around it, an update alone, and its arithmetic."""
    agent = make_agent(settings)
    clock = _timed(agent, settings)
    size = settings["batch_size"]
    step_ms = clock.seconds / clock.updates * 1e3
    update_ms = median_ms(lambda: _update(agent, size), seconds=settings["seconds"] / 2)
    return {"step_ms": step_ms, "update_ms": update_ms, "update_mflop": agent.n_seeds * step_mflop(agent, size)}


def _update(agent: Agent, batch_size: int) -> None:
    agent.experience.begin(batch_size, tuple(range(agent.n_seeds)))
    agent.experience.finish(0, lambda rows, metrics: None)
    if agent.device.type == "cuda":
        torch.cuda.synchronize()


def checkpoint(settings: Settings) -> Answer:
    """Row 6: an agent that has learned, with a buffer that is full."""
    agent = make_agent(settings)
    _timed(agent, {**settings, "skip": 10, "seconds": 0.5})
    buffer, draw = agent.buffer, np.random.default_rng(0)
    obs_dim, action_dim = SIZES[settings["env"]]
    for _ in range(buffer.capacity):
        buffer.add(
            0,
            obs=draw.standard_normal(obs_dim),
            action=draw.standard_normal(action_dim),
            reward=1.0,
            next_obs=draw.standard_normal(obs_dim),
            terminated=False,
            truncated=False,
            dt=1.0,
            next_dt=1.0,
            start=False,
            hidden=draw.standard_normal(agent.state_size),
        )
    return time_checkpoints(
        lambda place, with_buffer: agent.save(place, buffer=with_buffer),
        lambda place, with_buffer: models.LiquidDDPG.load(place, buffer=with_buffer, kernel=settings["kernel"]),
        repeats=settings["repeats"],
    )


if __name__ == "__main__":
    serve({"train": train, "solve": solve, "scaling": scaling, "checkpoint": checkpoint})
