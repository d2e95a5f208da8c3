"""A process that doesn't interrupt itself: no collection of cycles, one thread of PyTorch, a priority of the loop."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

from velora.core.errors import SettingError
from velora.core.threads import computing_on

SWITCH_S = 5e-5
"""Seconds after which a thread of Python's has to let another one have the lock; 5 ms by default, a whole tick."""
_LOCK_NOW_AND_LATER = 3


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Python from interrupting a loop inside a ``with``: what is there is collected once, and never again."""
    was_on, switch_s = gc.isenabled(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_S)
    try:
        with computing_on(1):
            yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.unfreeze()
        if was_on:
            gc.enable()


def raise_priority(priority: int) -> None:
    """Give the calling thread a real-time priority (SCHED_FIFO), and keep the process's memory from being swapped out.

    Threads that it starts afterwards inherit nothing. 0 leaves all as it is.

    Raises:
        SettingError: if the system has none, or doesn't allow it.
    """
    if priority == 0:
        return
    if not hasattr(os, "sched_setscheduler"):
        raise SettingError("priority: this system has no real-time priorities; choose priority=0")
    least, most = os.sched_get_priority_min(os.SCHED_FIFO), os.sched_get_priority_max(os.SCHED_FIFO)
    if not least <= priority <= most:
        raise SettingError(f"priority: expected from {least} to {most}, or 0 for none, got {priority}")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except PermissionError as error:
        raise SettingError(
            "priority: the system doesn't allow real-time priorities; run as root, raise the limit with ulimit -r, or "
            "give a container --cap-add=SYS_NICE; or choose priority=0"
        ) from error
    ctypes.CDLL(None).mlockall(_LOCK_NOW_AND_LATER)


@contextlib.contextmanager
def prioritised(priority: int) -> Iterator[None]:
    """Give the calling thread a real-time priority inside a ``with``; see :func:`raise_priority`."""
    raise_priority(priority)
    try:
        yield
    finally:
        if priority:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            ctypes.CDLL(None).munlockall()
