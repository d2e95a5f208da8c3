"""Measure CleanRL's DDPG: the script that its last release on the registry installs, read and run as it lies there.

It was written for ``gym`` of 2021. What it imports from there, this module gives it: a ``gym`` that is Gymnasium with
the old signatures. Two changes are made to the parsed script: ``Actor()`` is given the environment that its
constructor asks for (as published it ends with a TypeError there, before the first step), and layers get the size that
the other libraries are measured with.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cleanrl
import gymnasium

from benchmarks.peers.protocol import Answer, Clock, EnoughError, Settings, serve

PUBLISHED_UNITS = 256


class OldTimeLimit:
    """Show an environment as gym 0.17 did: ``seed``, a ``reset`` of one value, a ``step`` of four."""

    def __init__(self, env: gymnasium.Env) -> None:
        self.env = env
        self.action_space, self.observation_space = env.action_space, env.observation_space
        assert env.spec is not None
        self._max_episode_steps = env.spec.max_episode_steps
        self._seed: int | None = None

    def seed(self, seed: int) -> None:
        """Seed the next reset."""
        self._seed = seed

    def reset(self) -> Any:
        """Begin an episode."""
        obs, _ = self.env.reset(seed=self._seed)
        self._seed = None
        return obs

    def step(self, action: Any) -> Any:
        """Take a step; the script knows only one kind of end."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated or truncated, info

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


class _Adapt(ast.NodeTransformer):
    """Give ``Actor()`` its environment, and the networks' classes another layer size."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._is_network = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._is_network = node.name in ("QNetwork", "Actor")
        self.generic_visit(node)
        self._is_network = False
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        is_size = self._is_network and node.value == PUBLISHED_UNITS
        return ast.copy_location(ast.Constant(self._units), node) if is_size else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "Actor" and not node.args:
            node.args = [ast.Name("env", ast.Load())]
        return node


def _old_gym(clock: Clock) -> dict[str, ModuleType]:
    """Make the modules that the script imports and that are no longer to be had."""
    modules = {name: ModuleType(name) for name in ("gym", "gym.wrappers", "gym.spaces", "pybullet_envs")}
    vars(modules["gym"]).update(make=lambda _: OldTimeLimit(clock))
    vars(modules["gym.wrappers"]).update(TimeLimit=OldTimeLimit, Monitor=None)
    names = ("Discrete", "Box", "MultiBinary", "MultiDiscrete", "Space")
    vars(modules["gym.spaces"]).update({name: getattr(gymnasium.spaces, name) for name in names})
    return modules


def train(settings: Settings) -> Answer:
    """Row 1: actor and targets are updated at every step, as in the other libraries."""
    script = Path(cleanrl.__path__[0], "ddpg_continuous_action.py")
    tree = ast.fix_missing_locations(_Adapt(settings["units"]).visit(ast.parse(script.read_text())))
    clock = Clock(gymnasium.make(settings["env"]), skip=settings["skip"], seconds=settings["seconds"])
    sys.modules.update(_old_gym(clock))
    options = {
        "gym-id": settings["env"], "cuda": False, "total-timesteps": 100_000_000, "buffer-size": 100_000,
        "batch-size": settings["batch_size"], "learning-starts": settings["batch_size"], "policy-frequency": 1,
    }  # fmt: skip
    sys.argv = [script.name, *(f"--{name}={value}" for name, value in options.items())]
    try:
        exec(compile(tree, script.name, "exec"), {"__name__": "__main__", "__file__": script.name})
    except EnoughError:
        return clock.answer()
    raise RuntimeError("the script stopped by itself")


if __name__ == "__main__":
    serve({"train": train})
