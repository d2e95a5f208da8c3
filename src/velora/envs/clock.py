"""How long the steps of an environment take."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from velora.core.errors import SpaceError
from velora.envs.answers import shown

if TYPE_CHECKING:
    import gymnasium as gym

NOMINAL_DT = 1.0
"""Time between two observations, in control steps, of an environment that steps regularly."""
SHORTEST, LONGEST = 1e-6, 1e6
"""What a step may take, in control steps; float32 holds it, and a cell can compute with it."""


class Clock:
    """Read how long each step of one environment took, in control steps.

    An environment that steps regularly may say nothing. Any other says it in one of two ways:

    - ``info["dt"]`` of a step is the time that it took, in control steps.
    - ``info["timestamp"]``, of reset and of every step, is the time of the observation in seconds. The control step in
      seconds is then the environment's attribute ``dt``, as Gymnasium's Pendulum and MuJoCo tasks have it.

    Where both are given, ``dt`` counts.

    Args:
        env: the environment.
        index: its position, for errors.
    """

    def __init__(self, env: gym.Env[Any, Any], index: int) -> None:
        self._env, self._who = env, f"environment {index}"
        self._seen_at: float | None = None
        self._control_step_s = 0.0

    def start(self, info: Mapping[str, Any]) -> None:
        """Begin an episode with what its reset said.

        Raises:
            SpaceError: if a timestamp or the control step is no number, or the control step is missing.
        """
        self._seen_at = None
        if "timestamp" in info:
            self._control_step_s = self._read_control_step()
            self._seen_at = _number("timestamp", info["timestamp"], self._who, "in the info of reset")

    def elapsed(self, info: Mapping[str, Any]) -> float | None:
        """Return how long a step took, in control steps; ``None`` if nothing is said.

        Raises:
            SpaceError: if it isn't a number from 1e-6 to 1e6, or a timestamp is missing.
        """
        given = info.get("dt")
        if given is None:
            if self._seen_at is None and "timestamp" not in info:
                return None
            dt = self._since(info)
        else:
            dt = _number("dt", given, self._who, "in the info of step")
        said = f'info["dt"] {given}' if given is not None else f'info["timestamp"] {info["timestamp"]}'
        return _checked(dt, said, self._who)

    def _since(self, info: Mapping[str, Any]) -> float:
        """Read the timestamp, and return the time since the one before, in control steps."""
        before = self._seen_at
        if before is None or "timestamp" not in info:
            where = "at reset but not at a step" if before is not None else "at a step but not at reset"
            raise SpaceError(
                f'{self._who}: gave info["timestamp"] {where}; give it at reset and at every step, in '
                'seconds, or give info["dt"]'
            )
        self._seen_at = _number("timestamp", info["timestamp"], self._who, "in the info of step")
        return (self._seen_at - before) / self._control_step_s

    def _read_control_step(self) -> float:
        try:
            control_step_s = _number("control step", self._env.get_wrapper_attr("dt"), self._who, "as the attribute dt")
        except AttributeError:
            control_step_s = 0.0
        if not control_step_s > 0.0:
            raise SpaceError(
                f'{self._who}: gives info["timestamp"], which needs the length of a control step: '
                "give the environment an attribute dt, in seconds and above 0"
            )
        return control_step_s


def told(info: Mapping[str, Any], who: str) -> float:
    """Return what ``info["dt"]`` of one step says, in control steps; a regular step if it says nothing.

    Args:
        who: for errors.

    Raises:
        SpaceError: if it isn't a number from 1e-6 to 1e6.
    """
    given = info.get("dt")
    if given is None:
        return NOMINAL_DT
    return _checked(_number("dt", given, who, "in the info of step"), f'info["dt"] {given}', who)


def _checked(dt: float, said: str, who: str) -> float:
    if not SHORTEST <= dt <= LONGEST:
        raise SpaceError(
            f"{who}: expected a step to take from {SHORTEST:g} to {LONGEST:g} control steps, got {dt:g} from {said}; "
            "time has to go on from one observation to the next"
        )
    return dt


def _number(name: str, given: Any, who: str, where: str) -> float:
    """Read a number; text and dates aren't any, though Python would read some as if they were."""
    try:
        if type(given) is float or np.asarray(given).dtype.kind in "biuf":
            return float(given)
    except (TypeError, ValueError):
        pass
    advice = ""
    if isinstance(given, datetime.date | datetime.timedelta | np.datetime64 | np.timedelta64):
        unit = "control steps" if name == "dt" else "seconds"
        advice = f"; give it in {unit}, as a number, or a date under another name"
    raise SpaceError(f"{who}: expected a number as {name}, got {shown(given)} {where}{advice}")
