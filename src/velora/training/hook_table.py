"""Which hooks are really used, found out once, so that an unused one costs nothing per step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

from velora.callbacks.base import HOOKS, Callback
from velora.core.errors import SettingError
from velora.training.stock_list import check_stock, does_nothing_at, is_stock

log = logging.getLogger(__name__)

Hook: TypeAlias = Callable[..., Any]

LAST = "a step that was to be the last"
"""Place of an error after a callback had asked the run to stop, which a resume doesn't know of."""
_LEAVE_NOTHING_OUT = (
    *("setup", "on_load_checkpoint", "on_fit_start", "on_train_start", "on_warmup_end"),
    *("on_train_end", "on_fit_end", "teardown", "on_exception"),
)
"""Hooks that a resume fires again, with all that follows them, where one of them failed."""


class HookTable:
    """Hold, for every hook, the overriding methods of all callbacks, in order, bound to trainer and agent.

    Every hook's name is an attribute: a tuple of functions that take what comes after ``(trainer, agent)``.
    ``failed_in`` is the hook in which an error ended the run, ``"evaluation"`` or ``LAST``: the rest was not done.
    ``look_into_updates`` tells whether any of them is called between the parts of an update, ``reach_steps`` whether a
    callback that isn't Velora's is called at every step or update, and may change the networks there.
    """

    on_before_zero_grad: tuple[Hook, ...]
    on_before_backward: tuple[Hook, ...]
    on_after_backward: tuple[Hook, ...]
    on_before_optimizer_step: tuple[Hook, ...]
    on_env_step: tuple[Hook, ...]
    on_step_end: tuple[Hook, ...]
    on_train_batch_start: tuple[Hook, ...]
    on_train_batch_end: tuple[Hook, ...]
    on_exception: tuple[Hook, ...]

    def __init__(self, callbacks: Sequence[Any], *ours: Any, stock: Callable[[Any, str], Hook] | None = None) -> None:
        """Collect the methods.

        Args:
            callbacks: in the order in which they are called.
            ours: what our callbacks get first, ``(trainer, agent)``.
            stock: binds a hook of a stock Lightning callback, given that and the hook's name; without it there is none.
        """
        self.failed_in: str | None = None
        self._newest: tuple[BaseException, str] | None = None
        for name in HOOKS:
            users = [c for c in callbacks if overrides(c, name)]
            bound = (
                stock(c, name) if stock is not None and is_stock(c) else partial(getattr(c, name), *ours) for c in users
            )
            setattr(
                self, name, tuple(bound if name in _LEAVE_NOTHING_OUT else (self._noting(name, hook) for hook in bound))
            )
        inside = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward")
        self.look_into_updates = any(getattr(self, name) for name in (*inside, "on_before_optimizer_step"))
        often = (*inside, "on_before_optimizer_step", "on_train_batch_end", "on_env_step")
        others = [c for c in callbacks if not type(c).__module__.startswith("velora.")]
        self.reach_steps = any(overrides(c, name) for c in others for name in often)

    def _noting(self, name: str, hook: Hook) -> Hook:
        def noted(*args: Any) -> None:  # not by :meth:`noting`, which costs as much as a small hook
            try:
                hook(*args)
            except BaseException as error:
                self._note(error, name)
                raise

        return noted

    @contextmanager
    def noting(self, place: str) -> Iterator[None]:
        """Note an error that leaves something which other hooks were to follow."""
        try:
            yield
        except BaseException as error:
            self._note(error, place)
            raise

    def _note(self, error: BaseException, place: str) -> None:
        if self._newest is None or self._newest[0] is not error:  # else it came from a hook within this one
            self._newest = error, place

    def note_end(self, error: BaseException, *, is_last: bool = False) -> None:
        """Note the error that ends the run; ``is_last`` if a callback had asked for the end of its step to be that."""
        if self._newest is not None and self._newest[0] is error:
            self.failed_in = self._newest[1]
        elif is_last:
            self.failed_in = LAST
        self._newest = None

    def fire(self, name: str, *args: Any) -> None:
        """Call one hook of every callback that has it."""
        for hook in getattr(self, name):
            hook(*args)


NO_HOOKS = HookTable(())
"""The table of an agent that isn't being trained."""


def overrides(callback: Any, name: str) -> bool:
    """Return whether a callback does anything at a hook.

    Stock Lightning callbacks share the names; what they inherit from ``lightning.pytorch.Callback`` does nothing.
    """
    method = getattr(callback, name, None)
    if method is None:
        return False
    function = getattr(method, "__func__", method)
    if isinstance(callback, Callback):
        return function is not getattr(Callback, name)
    return not does_nothing_at(function, name)


def _is_one_of_its_key(callback: Any) -> bool:
    """Return whether a callback has a state, or a key of its own: two ways to set one and the same thing."""
    has_key = isinstance(callback, Callback) and type(callback).state_key is not Callback.state_key
    return has_key or any(overrides(callback, name) for name in ("state_dict", "seed_state_dict"))


def listed(callbacks: Any) -> list[Any]:
    """Return callbacks as a list, be it one or several, and refuse what is none or could not do its work.

    Raises:
        SettingError: naming the one at fault.
    """
    if callbacks is None:
        return []
    several = list(callbacks) if isinstance(callbacks, Iterable) and not isinstance(callbacks, type) else [callbacks]
    check_callbacks(several)
    return several


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Refuse what is no callback, what could not work here, and two whose saved states could not be told apart.

    Raises:
        SettingError: naming the one at fault.
    """
    for callback in callbacks:
        if isinstance(callback, type) or not (hasattr(callback, "state_key") and hasattr(callback, "on_fit_start")):
            raise SettingError(
                f"callbacks: expected instances of velora.callbacks.Callback, got {callback!r}"
                + (" (a class: add parentheses)" if isinstance(callback, type) else "")
            )
        if is_stock(callback) and (warning := check_stock(callback)) is not None:
            log.warning("%s", warning)
    for at, callback in enumerate(callbacks):
        if any(callback is other for other in callbacks[:at]):
            raise SettingError(f"callbacks: {callback.state_key} is given twice; once is enough")
    for key, count in Counter(c.state_key for c in callbacks if _is_one_of_its_key(c)).items():
        if count > 1:
            raise SettingError(
                f"callbacks: {count} share the state_key {key!r}; give each its own by overriding state_key"
            )
