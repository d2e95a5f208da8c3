"""Choose how many threads PyTorch computes on while a run lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

_lock = threading.Lock()
_n_runs = 0
_given = 1


class _Run(threading.local):
    """The number of the run that this thread is in, if it is in one."""

    threads: int | None = None


_run = _Run()


@contextlib.contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Compute with so many threads inside a ``with``, then with as many as before.

    PyTorch has a number of the process, which new threads begin with, and one of each thread that has computed.
    Several runs side by side, each in a thread of its own, may end in any order: each leaves the number that was found
    when none of them was there.

    Args:
        threads: at least 1.
    """
    global _n_runs, _given
    around = _run.threads
    with _lock:
        if _n_runs == 0:
            _given = torch.get_num_threads()
        _n_runs += 1
    _run.threads = threads
    _set(threads)
    try:
        yield
    finally:
        _run.threads = around
        with _lock:
            _n_runs -= 1
            _set(_given if around is None else around)


def _set(threads: int) -> None:
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
