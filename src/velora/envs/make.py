"""Turn what a user passes as ``env`` into as many environments as are needed."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import gymnasium as gym

from velora.core.errors import SpaceError
from velora.core.names import did_you_mean
from velora.envs.spaces import observation_size
from velora.envs.workers import Workers
from velora.envs.wrappers import KNOWN

Env: TypeAlias = gym.Env[Any, Any]
EnvLike: TypeAlias = Env | str | Callable[[], Env]


_CANT_BE_MADE = (
    "this environment can't be made again, since it isn't registered or a wrapper of it doesn't tell its arguments "
    "(gymnasium.utils.RecordConstructorArgs); register it with gymnasium.register, or pass a function that makes it"
)


class EnvironmentSource:
    """Make environments from an instance, a registered id or a function, and say how to make them again.

    An instance is used as it is for the first one and never closed (its owner does that); further ones are made from
    its ``spec``, which names the same id, keywords and wrappers. All of them show flat observations, see
    :func:`flattened`.

    Args:
        env: the environment, its registered id, or a function that makes one.
        kwargs: keywords for ``gymnasium.make`` where ``env`` is an id.

    Attributes:
        workers: processes in which environments are made from then on; ``None`` makes them here.

    Raises:
        SpaceError: if the id is unknown, or what was passed is no environment.
    """

    def __init__(self, env: EnvLike, kwargs: Mapping[str, Any] | None = None) -> None:
        self._given: Env | None = None
        self._make: Callable[[], Env] | None = None
        self.workers: Workers | None = None
        if isinstance(env, str):
            find_spec(env)
            self._make = lambda: gym.make(env, disable_env_checker=True, **(kwargs or {}))
        elif isinstance(env, gym.Env):
            self._given = env
            if env.spec is not None and all(w.kwargs is not None for w in env.spec.additional_wrappers):
                spec = copy.deepcopy(env.spec)
                spec.disable_env_checker = True
                spec.kwargs.pop("render_mode", None)  # nobody watches the copies
                self._make = lambda: gym.make(spec)
        elif callable(env):
            self._make = env
        else:
            raise SpaceError(f"env: expected a gymnasium environment, its id or a function, got {type(env).__name__}")

    @property
    def is_repeatable(self) -> bool:
        """Return whether more than one environment can be made."""
        return self._make is not None

    def first(self) -> tuple[Env, bool]:
        """Return the environment to train on, and whether it is ours to close.

        Raises:
            SpaceError: as :meth:`make`.
        """
        return (flattened(self._given), False) if self._given is not None else (self.make(), True)

    def more(self, n: int, *, n_envs: int = 1) -> Iterator[Env]:
        """Make further environments, for seeds that train side by side.

        Args:
            n_envs: of each seed, for errors.

        Raises:
            SpaceError: if they can't be made; the message says what to do.
        """
        needed = f"env: {n + 1} seeds need {n + 1} environments"
        fewer = "train one seed"
        if n_envs > 1:
            needed = f"env: n_envs={n_envs} for each seed needs {n + 1} environments"
            fewer += " with n_envs=1"
        if n and self._make is None:
            raise SpaceError(f"{needed}, but {_CANT_BE_MADE}, or {fewer}")
        for number in range(2, n + 2):
            try:
                made = self.make()
            except Exception as error:
                first_line = str(error).partition("\n")[0]
                raise SpaceError(
                    f"{needed}, and number {number} can't be made ({type(error).__name__}: {first_line}); "
                    f"give each seed an environment that can be made beside the others, or {fewer}"
                ) from error
            yield made

    def make(self) -> Env:
        """Make a fresh environment.

        Raises:
            SpaceError: if only one unregistered instance is at hand, or the maker gives something else, or something
                whose observations aren't numbers.
        """
        if self._make is None:
            raise SpaceError(f"env: {_CANT_BE_MADE}")
        make = partial(_made, self._make)
        return make() if self.workers is None else self.workers.make(make)


def _made(make: Callable[[], Env]) -> Env:
    made = make()
    if not isinstance(made, gym.Env):
        raise SpaceError(f"env: expected the function to make a gymnasium environment, got {type(made).__name__}")
    return flattened(made)


def flattened(env: Env) -> Env:
    """Return an environment whose observations are one vector: this one, or Gymnasium's wrapper around it.

    Training and evaluation do this by themselves. Do it yourself to pass observations on to ``agent.predict``.

    Raises:
        SpaceError: if an observation isn't numbers.

    Example:
        >>> env = flattened(gym.make("FrozenLake-v1"))
        >>> env.reset(seed=0)[0].tolist()
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    observation_size(env)
    seen = env.observation_space
    is_flat = isinstance(seen, gym.spaces.Box) and len(seen.shape) == 1
    return env if is_flat else gym.wrappers.FlattenObservation(env)


def find_spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """Look an id up among Gymnasium's registered environments.

    As in ``gymnasium.make``, ``my_module:MyEnv-v0`` imports the module that registers the environment first.

    Raises:
        SpaceError: if it isn't there; the message names the nearest one, or the module that is missing.
    """
    module, _, registered_id = env_id.rpartition(":")
    if module:
        _import_registering(module, env_id)
    try:
        return gym.spec(registered_id)
    except (gym.error.Error, ImportError, ValueError) as error:
        hint = did_you_mean(registered_id, gym.registry, "see gymnasium.registry for the known ones", written=repr)
        raise SpaceError(f"env: {registered_id!r} is no registered Gymnasium environment; {hint}") from error


def _import_registering(module: str, env_id: str) -> None:
    """Import a module for what it registers; an error inside of it is its author's, and keeps its traceback."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise SpaceError(
            f"env: {env_id!r} needs a module {error.name!r}, which Python can't find; "
            "it is looked for in the directory you are in, beside your script, and among what is installed"
        ) from error


def describe(env: Env) -> dict[str, Any]:
    """Name an environment for a checkpoint: its id, the keywords that JSON can hold, and Velora's wrappers around it.

    Returns:
        ``{"id": str, "kwargs": dict}``, where there are any with ``"wrappers"``, as :func:`velora.envs.wrappers.wrap`
        takes them; the id of an unregistered environment is its class name.
    """
    wrappers = _describe_wrappers(env)
    own: dict[str, Any] = {"wrappers": wrappers} if wrappers else {}
    if env.spec is None:
        return {"id": type(env.unwrapped).__name__, "kwargs": {}, **own}
    kwargs = {}
    for key, value in env.spec.kwargs.items():
        try:
            kwargs[key] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            continue
    kwargs.pop("render_mode", None)
    return {"id": env.spec.id, "kwargs": kwargs, **own}


def _describe_wrappers(env: Env) -> list[dict[str, Any]]:
    """List our wrappers around an environment, from the inside out."""
    found: list[dict[str, Any]] = []
    while isinstance(env, gym.Wrapper):
        row = KNOWN.get(env.class_name())
        if isinstance(env, gym.utils.RecordConstructorArgs) and row is not None and type(env) is row.kind:
            found.append({"name": env.class_name(), "kwargs": dict(env._saved_kwargs)})
        env = env.env
    return found[::-1]
