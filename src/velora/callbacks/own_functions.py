"""A callback from functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from velora.callbacks.base import HOOKS, Callback
from velora.core.errors import SettingError
from velora.core.names import did_you_mean


class Lambda(Callback):
    """Call functions at hooks, where a class would be too much.

    Each function gets what the hook gets: trainer and agent first.

    Example:
        >>> told = []
        >>> told_of = Lambda(on_episode_end=lambda trainer, agent, episode: told.append(episode.reward))
    """

    def __init__(self, **hooks: Callable[..., object]) -> None:
        """Take functions by the names of the hooks to call them at.

        Raises:
            SettingError: if there is no such hook, or a function doesn't take what the hook gives.
        """
        if not hooks:
            raise SettingError("lambda: expected functions by the names of hooks, such as on_episode_end=..., got none")
        for name, function in hooks.items():
            if name not in HOOKS:
                hint = did_you_mean(name, HOOKS, "velora.callbacks.HOOKS lists them")
                raise SettingError(f"lambda.{name}: there is no such hook; {hint}")
            expected = list(inspect.signature(getattr(Callback, name)).parameters)[1:]
            if not callable(function):
                raise SettingError(f"lambda.{name}: expected a function, got {function!r}")
            try:
                inspect.signature(function).bind(*expected)
            except TypeError as error:
                raise SettingError(f"lambda.{name}: the function must take ({', '.join(expected)}): {error}") from None
            except ValueError:  # a signature that can't be told
                pass
            setattr(self, name, function)
