"""Let the system refuse calls of a training run: it goes on, and says so; what was saved before stays whole."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

from benchmarks.reliability import forked, shim
from benchmarks.reliability.exact import Listener
from benchmarks.reliability.subject import scratch, traced
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import Training, can_resume, difference, everything, finish
from velora.callbacks import Callback

TRAININGS = {
    "a run": Training(n_steps=45, saving={"frequency": 1, "keep_last": 2}),
    "a run of two seeds": Training(n_steps=36, seeds=(5, 0), saving={"frequency": 2}),
}
CODES = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
WHILE = (1, 40, shim.FOREVER)
"""How many calls in a row fail."""
EVERY = 15
"""Calls from one that fails first to the next that does."""
STARTED, ENDING = "started", "ending"


class Phases(Callback):
    """Mark where training starts and ends, before and after which a run may be refused."""

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        """Mark the start."""
        shim.mark(STARTED)

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        """Mark the end: the last save is made after it."""
        shim.mark(ENDING)


def run(job: Job, name: str) -> None:
    """Let calls of one kind of run fail."""
    training = TRAININGS[name]
    with scratch() as place:
        calls = traced(lambda: training.go(place / "run", Phases()), place)
        whole = everything(place / "run")
    marks = {call.path: at for at, call in enumerate(calls) if call.kind == "mark"}
    made = [call for call in calls if call.kind != "mark"]
    first = sum(call.kind != "mark" for call in calls[: marks[STARTED]])
    last = sum(call.kind != "mark" for call in calls[: marks[ENDING]])
    strikes = [shim.Strike(at, "fail", code, n) for at in range(0, len(made), EVERY) for code in CODES for n in WHILE]
    for strike in job.each(job.some(strikes, quick=12)):
        with scratch() as place:
            ending = forked.run(lambda: _train(training, place, strike))  # noqa: B023 - run at once
            case = f"velora, {name}, {strike} ({made[strike.at]})"
            reaches_end = strike.at + strike.calls > last
            _judge(
                job,
                training,
                place / "run",
                ending,
                whole,
                case,
                may_end=strike.at < first or reaches_end,
                code=strike.code,
            )


def _train(training: Training, place: Path, strike: shim.Strike) -> list[str]:
    listener = _Spoken()
    logging.getLogger("velora").addHandler(listener)
    with shim.armed(place, strike):
        training.go(place / "run", Phases())
    return listener.said


def _judge(
    job: Job,
    training: Training,
    place: Path,
    ending: forked.Ending,
    whole: dict[str, Any],
    case: str,
    *,
    may_end: bool,
    code: int,
) -> None:
    tally = job.tally
    if ending.code not in (0, forked.RAISED) or ending.hung:
        tally.bad("the process died", f"{case}: {ending}")
        return
    if not ending.is_fine and not may_end and "/final" not in ending.answer[1]:
        tally.bad("training ended by it", f"{case}: {ending}")
        return
    if not ending.is_fine and not (ending.answer[0].endswith("Error") and os.strerror(code) in ending.answer[1]):
        tally.bad("an unclear error", f"{case}: {ending}")
        return
    resumes = can_resume(place) if place.exists() else False
    after = forked.run(lambda: (finish(training, place), everything(place))[1])
    if not after.is_fine:
        tally.bad("the run can't go on afterwards", f"{case}: {after}")
    elif text := difference(whole, after.answer):
        tally.bad("differs afterwards", f"{case}: {text}")
    elif ending.is_fine:
        tally.good("went on to its end, the same bits and rows")
    else:
        tally.good("refused clearly; afterwards the same bits" + ("" if resumes else ", begun anew"))


class _Spoken(Listener):
    """Keep every warning."""

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
