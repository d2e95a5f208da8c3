"""Turn what a user passes as ``env`` into as many environments as are needed."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import gymnasium as gym

from velora.core.errors import SettingError, SpaceError
from velora.core.interruption import interruptions_kept
from velora.envs import layers
from velora.envs.again import fresh, maker, mute, unlike
from velora.envs.drawing import PICTURES, check_draws, prepare_drawing
from velora.envs.flat import Flattened
from velora.envs.registered import find_spec
from velora.envs.spaces import observation_size
from velora.envs.workers import Workers

Env: TypeAlias = gym.Env[Any, Any]
EnvLike: TypeAlias = Env | str | Callable[[], Env]


class SameEnvironmentError(SpaceError):
    """Error in a function that should make environments and gives one and the same."""


class EnvironmentSource:
    """Make environments from an instance, a registered id or a function, and say how to make them again.

    An instance is used as it is for the first one and never closed (its owner does that); further ones are made as it
    was, see :func:`velora.envs.again.maker`. All of them show flat observations, see :func:`flattened`.

    Args:
        env: the environment, its registered id, or a function that makes one.
        kwargs: keywords for ``gymnasium.make`` where ``env`` is an id.

    Attributes:
        workers: processes in which environments are made from then on; ``None`` makes them here.
        changing: attributes that training changes, in which a copy may differ from what was passed.

    Raises:
        SpaceError: if the id is unknown, or what was passed is no environment.
    """

    def __init__(self, env: EnvLike, kwargs: Mapping[str, Any] | None = None) -> None:
        self._given: Env | None = None
        self._make: Callable[[], Env] | None = None
        self.workers: Workers | None = None
        self.changing: set[str] = set()
        self._why_not = ""
        self._made: list[weakref.ref[Env]] = []
        self._gives_one = False
        self._make_drawing: Callable[[], Env] | None = None
        if isinstance(env, str):
            shared = {**find_spec(env).kwargs, **(kwargs or {})}  # which Gymnasium would copy for every environment

            def make(**more: Any) -> Env:
                given = {**shared, **more}
                if given.get("render_mode") is not None:
                    check_draws(find_spec(env))
                return gym.make(env, disable_env_checker=True, **fresh(given))

            self._make, self._make_drawing = make, partial(make, render_mode=PICTURES)
        elif isinstance(env, gym.Env):
            self._given = env
            self._make, self._why_not = maker(env)
            self._make_drawing, _ = maker(env, render_mode=PICTURES)
            self._made.append(weakref.ref(layers.base(env)))
        elif callable(env):
            _check_takes_nothing(env)
            self._make = self._make_drawing = env
        else:
            raise SpaceError(f"env: expected a gymnasium environment, its id or a function, got {type(env).__name__}")

    @property
    def is_repeatable(self) -> bool:
        """Return whether more than one environment can be made, as far as is known."""
        return self._make is not None and not self._gives_one

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
            SettingError: if a function gives one and the same.
        """
        needed, fewer, each = f"env: {n + 1} seeds need {n + 1} environments", "train one seed", ""
        if n_envs > 1:
            needed = f"env: n_envs={n_envs} for each seed needs {n + 1} environments"
            fewer, each = f"{fewer} with n_envs=1", f", or n_envs={n_envs} of them"
        if n and self._make is None:
            raise SpaceError(f"{needed}, but {self._cant_be_made}, or {fewer}")
        for number in range(2, n + 2):
            try:
                made = self.make()
            except SameEnvironmentError as error:
                raise SettingError(f"{error}; each seed needs one of its own{each}") from error
            except Exception as error:
                first_line = str(error).partition("\n")[0]
                raise SpaceError(
                    f"{needed}, and number {number} can't be made ({type(error).__name__}: {first_line}); "
                    f"give each seed an environment that can be made beside the others, or {fewer}"
                ) from error
            yield made

    def make(self, *, flat: bool = True) -> Env:
        """Make a fresh environment.

        Args:
            flat: show flat observations, see :func:`flattened`.

        Raises:
            SpaceError: if an instance can't be made again, or the maker gives something else, or what it gave before,
                or something whose observations aren't numbers.
        """
        if self._make is None:
            raise SpaceError(f"env: {self._cant_be_made}")
        if self.workers is not None:
            return self.workers.make(partial(_alone, self._make))
        made = _made_by(self._make)
        inner, before = layers.base(made), [kept for ref in self._made if (kept := ref()) is not None]
        if any(inner is kept for kept in before):
            self._gives_one = True
            raise SameEnvironmentError("env: the function gave one environment several times")
        if self._given is not None and (difference := unlike(self._given, made, but=self.changing)):
            self._make, self._why_not = None, f"{difference}, so it was changed after it was made, or chance decides it"
            made.close()
            raise SpaceError(f"env: {self._cant_be_made}")
        if before:
            mute(made)
        self._made = [weakref.ref(kept) for kept in (*before, inner)]
        return flattened(made) if flat else made

    def make_drawing(self) -> Env:
        """Make a fresh environment, in this process, whose ``render`` gives pictures.

        Raises:
            SpaceError: as :meth:`make`, or if it draws no pictures.
        """
        if self._make_drawing is None:
            raise SpaceError(f"env: {self._cant_be_made}")
        prepare_drawing()
        made = _made_by(self._make_drawing)
        if (mode := made.render_mode) != PICTURES:
            self.release(made)
            raise SpaceError(
                f"env: expected an environment that draws pictures, render_mode={PICTURES!r}, got {mode!r}; pass its "
                "registered id, or a function that makes it with that render_mode"
            )
        mute(made)
        return flattened(made)

    def release(self, env: Env) -> None:
        """Close an environment that :meth:`make` gave, unless its maker turned out to give one that it keeps."""
        if not self._gives_one:
            env.close()

    @property
    def _cant_be_made(self) -> str:
        return (
            f"this environment can't be made again, since {self._why_not}; register it with gymnasium.register, or "
            "pass a function that makes it"
        )


def _alone(make: Callable[[], Env]) -> Env:
    """Make an environment in a worker."""
    made = _made_by(make)
    mute(made)
    return flattened(made)


def _made_by(make: Callable[[], Env]) -> Env:
    with interruptions_kept():
        made: Any = make()
    if not isinstance(made, gym.Env):
        raise SpaceError(f"env: expected the function to make a gymnasium environment, got {type(made).__name__}")
    return made


def _check_takes_nothing(function: Callable[..., Any]) -> None:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise SpaceError(f"env: expected a function that can be called without arguments: {error}") from error
    except ValueError:  # a signature that can't be told
        return


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
    return env if is_flat else Flattened(env)
