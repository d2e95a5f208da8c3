"""Numbers among the attributes of environments that change from one episode to another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from velora.core.errors import SettingError, SpaceError
from velora.core.names import did_you_mean
from velora.envs.layers import Env, base, layers
from velora.envs.workers import RemoteEnv

Parameters: TypeAlias = Mapping[str, float]
"""Values by the names of attributes."""


class ParameterSetting:
    """Set numbers among the attributes of environments, or of the wrappers around them, and put back what was there.

    Args:
        envs: the environments.
    """

    def __init__(self, envs: Sequence[Env]) -> None:
        self._envs = envs
        self._before: list[dict[str, float]] = [{} for _ in envs]

    def check(self, names: Iterable[str]) -> None:
        """Check that the environments have such numbers.

        Raises:
            SettingError: naming the first that is missing, or of environments in workers.
        """
        env = self._envs[0]
        if isinstance(env, RemoteEnv):
            raise SettingError("curriculum: an environment in a worker can't be changed; leave workers out")
        for name in names:
            owner = _owner(env, name)
            if owner is None or not _is_number(getattr(owner, name)):
                known = [one for one, value in vars(base(env)).items() if _is_number(value) and one[0] != "_"]
                hint = did_you_mean(name, known, f"it has {', '.join(known) or 'none'}")
                raise SettingError(f"curriculum: the environment has no number {name!r} that could be set; {hint}")

    def put(self, index: int, parameters: Parameters) -> None:
        """Set these in one environment; those that were set before and aren't among them are as they were made.

        Raises:
            SpaceError: if there is no such number, or it can't be set.
        """
        env, before = self._envs[index], self._before[index]
        for name, value in {**before, **parameters}.items():
            owner = None if isinstance(env, RemoteEnv) or name.startswith("_") else _owner(env, name)
            if owner is None or not (_is_number(getattr(owner, name)) and _is_number(value)):
                raise SpaceError(f"environment {index}: has no number {name!r} that could be set to {value!r}")
            before.setdefault(name, getattr(owner, name))
            try:
                setattr(owner, name, value)
            except AttributeError as error:
                raise SpaceError(f"environment {index}: {name!r} can't be set: {error}") from error

    def put_back(self) -> None:
        """Let every environment be as it was made."""
        for index, before in enumerate(self._before):
            if before:
                self.put(index, {})
                before.clear()


def _owner(env: Env, name: str) -> Any:
    """Find the outermost wrapper, or the environment inside, that has an attribute itself; ``None`` if none has."""
    for one in (*layers(env)[::-1], base(env)):
        if name in vars(one) or hasattr(type(one), name):
            return one
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
