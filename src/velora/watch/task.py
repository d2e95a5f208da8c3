"""The tasks that the live page computes by itself: what Gymnasium's classic control is called there, and its numbers.

``viewer/src/physics.ts`` and ``viewer/src/world.ts`` hold the formulas; what can't be computed there is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gymnasium as gym

from velora.core.errors import SettingError
from velora.envs import values
from velora.envs.said import unsaid
from velora.envs.sensed import SENSORS, after_previous
from velora.envs.wrappers import KNOWN
from velora.envs.wrappers.drop_observation import VELOCITIES
from velora.export.policy import Policy


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the page.

    Attributes:
        control_step_s: how long a control step takes in the page, in seconds.
        most_noise: where the slider for noise ends, in the observations' units.
        keywords: that its constructor takes.
    """

    control_step_s: float
    most_noise: float
    keywords: tuple[str, ...]


TASKS: Final[Mapping[str, Task]] = {
    "Pendulum": Task(0.05, 1.0, ("g",)),
    "CartPole": Task(0.02, 0.3, ("sutton_barto_reward",)),
    "MountainCar": Task(1 / 30, 0.1, ("goal_velocity",)),
    "MountainCarContinuous": Task(1 / 30, 0.1, ("goal_velocity",)),
}
"""By the name of the environment without its version; a control step is as long as Gymnasium's own, or its picture."""
WRAPPERS: Final = (
    "HoldAction",
    "PrivilegedState",
    "DropObservation",
    "NoisyObservation",
    "Flicker",
    "Delay",
    "PreviousActionReward",
)
"""Wrappers that the page computes."""
_TURNED: Final[Mapping[str, Mapping[str, Any]]] = {
    "HoldAction": {"hold": [1], "order": "cycle"},
    "NoisyObservation": {"std": 0.0},
    "Flicker": {"probability": 0.0},
}
"""Wrappers that the page's sliders turn, and arguments with which they do nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """An environment as the page computes it.

    Attributes:
        environment: what ``viewer/src/world.ts`` reads.
        sensors: a name for each number of an observation, after all wrappers.
    """

    environment: Mapping[str, Any]
    sensors: tuple[str, ...]

    @property
    def task(self) -> Task:
        """Its row."""
        return TASKS[self.environment["task"]]

    @property
    def wrappers(self) -> Mapping[str, Mapping[str, Any]]:
        """Arguments of its wrappers by their names."""
        return {one["name"]: one["kwargs"] for one in self.environment["wrappers"]}


def world_of(policy: Policy, described: Mapping[str, Any] | None) -> World:
    """Turn the description of an environment into what the page computes.

    Args:
        policy: that acts in it.
        described: as :func:`velora.envs.describe` says it, and a checkpoint keeps it.

    Raises:
        SettingError: if there is none, or the page hasn't got all of it.
    """
    if described is None:
        raise SettingError("live: the agent names no environment; give one, such as env=pendulum")
    env_id = str(described["id"])
    name = env_id.rpartition("-v")[0]
    if name not in TASKS or env_id not in gym.registry:
        raise SettingError(
            f"live: the page computes {', '.join(TASKS)}, not {env_id}; leave live=true out, and the page shows a "
            "recorded episode"
        )
    task = TASKS[name]
    keywords = {key: value for key, value in values.arguments(described.get("kwargs", {})).items() if value is not None}
    keywords.pop("render_mode", None)
    unknown = [f"the keyword {key} of {name}" for key in keywords if key not in task.keywords]
    wrappers = [dict(one) for one in described.get("wrappers", ())]
    unknown += [f"the wrapper {one['name']}" for one in wrappers if one["name"] not in WRAPPERS]
    unknown += unsaid(described)
    if unknown:
        raise SettingError(f"live: the page can't compute {unknown[0]}; leave live=true out to record an episode")
    limit = described.get("max_episode_steps", gym.spec(env_id).max_episode_steps)
    sensors, made = SENSORS[name], list[dict[str, Any]]()
    for one in _with_turned(wrappers):
        kwargs = dict(values.arguments(one.get("kwargs", {})))
        if one["name"] == "DropObservation":
            kwargs["drop"] = list(VELOCITIES[name][1]) if isinstance(kwargs["drop"], str) else list(kwargs["drop"])
        sensors = _seen(one["name"], kwargs, sensors, policy)
        made.append({"name": one["name"], "kwargs": kwargs})
    if len(sensors) != policy.n_observations:
        raise SettingError(f"live: {env_id} shows {len(sensors)} numbers, the policy reads {policy.n_observations}")
    environment = {
        "task": name,
        "keywords": keywords,
        "limit": limit,
        "control_step_s": task.control_step_s,
        "wrappers": made,
    }
    return World(environment, sensors)


def _seen(wrapper: str, kwargs: Mapping[str, Any], sensors: tuple[str, ...], policy: Policy) -> tuple[str, ...]:
    """Return the names of what is seen around a wrapper."""
    if wrapper == "DropObservation":
        return tuple(one for k, one in enumerate(sensors) if k not in kwargs["drop"])
    if wrapper == "PreviousActionReward":
        return after_previous(sensors, policy.readout.n_out)
    return sensors


def _with_turned(wrappers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Insert the wrappers that sliders turn, where settings would put them, doing nothing."""
    found, order = list(wrappers), list(KNOWN)
    for name, kwargs in _TURNED.items():
        if all(one["name"] != name for one in found):
            outside = (k for k, one in enumerate(found) if order.index(one["name"]) > order.index(name))
            found.insert(next(outside, len(found)), {"name": name, "kwargs": kwargs})
    return found
