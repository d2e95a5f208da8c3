"""One job: a process with the shim in it that tries a part of a row, and prints what it found as JSON.

    python -m benchmarks.reliability.job '{"call": "benchmarks.reliability.kills:run", "subject": ..., "options": {}}'

It prints a line of progress now and then, and last ``{"tally": ...}``. Given a list it does one job after another.
Peers' interpreters run it too.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import warnings
from typing import Any

from benchmarks.reliability import shim
from benchmarks.reliability.tally import Job


def main(text: str) -> None:
    """Do the job."""
    try:
        shim.library()
    except shim.ShimError:
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.reliability.job", text], shim.environment())
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # who wants to hear a warning of a trial listens by a handler
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import torch

    torch.set_num_threads(1)
    orders = json.loads(text)
    for order in orders if isinstance(orders, list) else [orders]:
        _do(order)


def _do(order: dict[str, Any]) -> None:
    job = Job(seed=order["seed"], part=order["part"], parts=order["parts"], quick=order["quick"])
    subjects = [_subject(order["subject"])] if order.get("subject") else []
    _find(order["call"])(job, *subjects, **order["options"])
    print(json.dumps({"tally": job.finish().document()}), flush=True)


def _find(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _subject(name: str) -> Any:
    module, _, title = name.partition(":")
    found = {f"{one.name}, {one.scenario}": one for one in importlib.import_module(module).subjects()}
    return found[title]


if __name__ == "__main__":
    main(sys.argv[1])
