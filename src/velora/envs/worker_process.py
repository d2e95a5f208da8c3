"""The process of a worker: it holds environments, and does with them what it is told over a socket."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from velora.envs.renewal import renewal

TOLD = ("dt", "timestamp")
"""Entries of the information that are always sent, see :class:`velora.envs.clock.Clock`."""
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Signals that a whole group of processes is sent; the run decides what becomes of them."""


def serve(descriptor: int) -> None:
    """Answer requests one after another, until the process at the other end hangs up or ends.

    A request is ``(id, environment, what, packed argument)``, an answer ``(id, is an answer, answer)``; instead of one
    there may be an error, packed, and its traceback.
    """
    faulthandler.enable()
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(
                getattr(signal, name), _do_nothing
            )  # unlike SIG_IGN, programs begun from here don't inherit it
    os.set_inheritable(descriptor, False)
    connection, envs = Connection(descriptor), dict[int, Any]()
    try:
        while True:
            request, number, what, packed = pickle.loads(connection.recv_bytes())
            try:
                answer = pickle.dumps((request, True, _DONE[what](envs, number, pickle.loads(packed))))
            except Exception as error:  # noqa: BLE001 - it is raised at the other end
                answer = pickle.dumps((request, False, _packed(error)))
            connection.send_bytes(answer)
    except (EOFError, OSError):
        pass
    for env, *_ in envs.values():
        env.close()


def _do_nothing(*_: Any) -> None:
    """Take a signal."""


def _packed(error: Exception) -> tuple[bytes, str]:
    """Pack an error, with its traceback beside it; one that can't be packed or unpacked becomes its last line."""
    told = "".join(traceback.format_exception(error))
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:  # noqa: BLE001 - whatever a user's class raises then
        packed = pickle.dumps(RuntimeError(traceback.format_exception_only(error)[-1].strip()))
    return packed, told


def _make(envs: dict[int, Any], number: int, make: Callable[[], Any]) -> Any:
    env = make()
    envs[number] = env, renewal(env), [*TOLD]
    return env.observation_space, env.action_space


def _reset(envs: dict[int, Any], number: int, seed: int | None) -> Any:
    env, renew, told = envs[number]
    if renew is not None:
        renew()
    return _with_told(env.reset(seed=seed), told)


def _step(envs: dict[int, Any], number: int, action: Any) -> Any:
    env, _, told = envs[number]
    return _with_told(env.step(action), told)


def _tell(envs: dict[int, Any], number: int, name: str) -> None:
    """Send another entry of the information from now on."""
    envs[number][2].append(name)


def _with_told(answer: Any, told: Sequence[str]) -> Any:
    """Leave out of the information what nobody reads, which may be large, or not to be packed."""
    if isinstance(answer, tuple) and answer and isinstance(answer[-1], dict):
        return (*answer[:-1], {name: answer[-1][name] for name in told if name in answer[-1]})
    return answer


def _attribute(envs: dict[int, Any], number: int, name: str) -> Any:
    return envs[number][0].get_wrapper_attr(name)


def _close(envs: dict[int, Any], number: int, _: None) -> None:
    envs.pop(number)[0].close()


_DONE: dict[str, Callable[[dict[int, Any], int, Any], Any]] = {
    "make": _make,
    "tell": _tell,
    "reset": _reset,
    "step": _step,
    "attribute": _attribute,
    "close": _close,
}
