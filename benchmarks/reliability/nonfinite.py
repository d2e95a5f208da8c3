"""NaN and infinity at every place of training: stopped, named by what, seed and step, and never saved as good."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from benchmarks.reliability import forked
from benchmarks.reliability.exact import AGENTS, KERNELS
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import PENDULUM, At, Training, can_resume, finish, homes
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError

FINITE = "1e38 in a weight of the critic"
NAN, INF, HUGE = float("nan"), float("inf"), 1e39


class Poison(gym.Wrapper[Any, Any, Any, Any]):
    """Give something that isn't finite, at one step of the object's life."""

    def __init__(self, env: gym.Env[Any, Any], where: str, value: float, at: int) -> None:
        super().__init__(env)
        self.where, self.value, self.left = where, value, at

    def _is_due(self, where: str) -> bool:
        return self.left <= 0 and self.where == where

    def reset(self, **options: Any) -> Any:
        """Reset; a poisoned one is the first after the step."""
        obs, info = self.env.reset(**options)
        return (_poisoned(obs, self.value) if self._is_due("reset") else obs), info

    def step(self, action: Any) -> Any:
        """Step."""
        self.left -= 1
        obs, reward, terminated, truncated, info = self.env.step(action)
        if self._is_due("obs"):
            obs = _poisoned(obs, self.value)
        if self._is_due("reward"):
            reward = self.value
        if self._is_due("dt"):
            info = {**info, "dt": self.value}
        return obs, reward, terminated, truncated, info


def _poisoned(obs: Any, value: float) -> Any:
    obs = np.array(obs, dtype=np.float64)
    obs[-1] = value
    return obs


Act = Callable[[Any], None]


def _weight(agent: Any, network: str, value: float) -> None:
    names = [name for name in agent.networks if name.startswith(network)]
    with torch.no_grad():
        next(iter(agent.networks[names[0]].parameters())).view(-1)[0] = value


def _moment(agent: Any, value: float) -> None:
    states = agent.learner.optimizer_state(0)
    name = next((name for name, tensor in states.items() if tensor.numel() > 1), None)
    if name is not None:
        states[name].view(-1)[0] = value
        agent.learner.load_optimizer_state(states, 0)


ENVIRONMENT: dict[str, tuple[str, float]] = {
    "NaN in an observation": ("obs", NAN),
    "infinity in an observation": ("obs", -INF),
    "1e39 in an observation": ("obs", HUGE),
    "NaN in a first observation": ("reset", NAN),
    "NaN as reward": ("reward", NAN),
    "infinity as reward": ("reward", INF),
    "1e39 as reward": ("reward", HUGE),
    "NaN as time of a step": ("dt", NAN),
}
AGENT: dict[str, Callable[[Any], None]] = {
    "NaN in a weight of the actor": lambda agent: _weight(agent, "actor", NAN),
    "NaN in a weight of the critic": lambda agent: _weight(agent, "critic", NAN),
    "infinity in a weight of the critic": lambda agent: _weight(agent, "critic", INF),
    FINITE: lambda agent: _weight(agent, "critic", 1e38),
    "NaN in a moment of an optimizer": lambda agent: _moment(agent, NAN),
}
STEPS, LEARNING = (3, 20, 41, 55), 41
"""Steps of the poison, and the first of them by which every agent has learned."""


def run(job: Job) -> None:
    """Poison one place of one agent on one kernel, in one run."""
    cases = list(itertools.product(AGENTS.items(), KERNELS, (*ENVIRONMENT, *AGENT), STEPS))
    cases = [case for case in cases if case[3] >= LEARNING or case[2] in ENVIRONMENT]
    for (agent, settings), kernel, what, step in job.each(job.some(cases, quick=12)):
        training = Training(agent, PENDULUM, kernel, n_steps=72, settings=settings, saving={"frequency": 2})
        case = f"{agent}, {kernel}, {what} at step {step}"
        with scratch() as place:
            ending = forked.run(lambda: _go(training, place, what, step))  # noqa: B023 - run at once
            if complaint := _complaint(training, place, ending, what):
                job.tally.bad(complaint.partition(":")[0], f"{case}: {complaint}")
            else:
                job.tally.good("stopped, named, nothing of it saved")


def _go(training: Training, place: Path, what: str, step: int) -> str:
    if what in ENVIRONMENT:
        where, value = ENVIRONMENT[what]
        return str(training.go(place, env=lambda: Poison(training.task(), where, value, step)).status)
    poison = AGENT[what]

    class Once(At):
        """Poison the agent."""

        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            """Do it once."""
            if self.act is not None and trainer.step >= self.step:
                self.act = None
                poison(agent)

    return str(training.go(place, Once(step, True)).status)


def _complaint(training: Training, place: Path, ending: forked.Ending, what: str) -> str | None:
    if ending.hung or ending.code not in (0, forked.RAISED):
        return f"the process died: {ending}"
    if ending.is_fine:
        return "went on: the run came to its end"
    kind, text = ending.answer
    if kind not in ("NonFiniteError", "SpaceError"):
        return f"a raw {kind}: {text}"
    if "\n" in text or not re.search(r"\bstep", text):
        return f"the error doesn't name the step: {text}"
    try:
        for home in homes(place).values():
            for path in home.glob("*/metadata.json"):
                if path.parent.name == "final":
                    return "saved as final: though it was stopped"
                Checkpoint.open(path.parent).verify()
    except CheckpointError as error:
        return f"a bad checkpoint was left: {error}"
    return _cant_go_on(training, place, what)


def _cant_go_on(training: Training, place: Path, what: str) -> str | None:
    """Go on; a finite weight that overflows only later may have been saved, and ends the run again, by name."""
    if not can_resume(place):
        return None
    while can_resume(place):
        again = forked.run(lambda: finish(training, place))
        if again.is_fine:
            return None
        if what != FINITE or again.code != forked.RAISED or again.answer[0] != "NonFiniteError":
            return f"can't go on from what was saved before: {again}"
        for home in homes(place).values():
            newest = Checkpoint.latest(home)
            assert newest is not None
            shutil.rmtree(newest.path)
    return "no older checkpoint goes on"
