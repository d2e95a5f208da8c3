"""SIGKILL at every write-side call of whole training runs, metrics and all, which then go on to the same bits."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.reliability import forked, shim
from benchmarks.reliability.subject import scratch, traced
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import ROLLOUT, Training, can_resume, difference, everything, finish
from velora.checkpoint import Checkpoint

TRAININGS = {
    "rotating": Training(n_steps=45, saving={"frequency": 1, "keep_last": 2}),
    "rotating, without buffer": Training(n_steps=36, saving={"frequency": 1, "keep_last": 1, "buffer": False}),
    "several seeds": Training(n_steps=36, seeds=(5, 0), saving={"frequency": 2, "keep_last": 1}),
    "best and evaluations": Training(
        "LiquidTD3", n_steps=36, options={"evaluate_every": 2, "evaluation_episodes": 1}, saving={"frequency": 2}
    ),
    "on policy": Training("LiquidPPO", n_steps=72, settings=ROLLOUT, saving={"frequency": 3}),
}


def run(job: Job, name: str) -> None:
    """Kill one kind of run everywhere, and go on."""
    training = TRAININGS[name]
    with scratch() as place:
        calls = traced(lambda: training.go(place / "run"), place)
        whole = everything(place / "run")
    strikes = [
        shim.Strike(at, action)
        for at, call in enumerate(calls)
        for action in ("before", "half")  # after a call is before the next
        if action != "half" or call.kind == "write"
    ]
    for strike in job.each(job.some(strikes, quick=7)):
        with scratch() as place:
            ending = forked.run(lambda: _train(training, place, strike))  # noqa: B023 - run at once
            case = f"velora, {name}, {strike} ({calls[strike.at] if strike.at < len(calls) else 'a call'})"
            if not ending.is_killed:
                # Runs make a call more or less by the clock: the metrics are written every two seconds.
                job.tally.good("ended before that call") if ending.is_fine else job.tally.bad(
                    "the run failed", f"{case}: {ending}"
                )
                continue
            _judge(job, training, place / "run", whole, case)


def _train(training: Training, place: Path, strike: shim.Strike) -> None:
    with shim.armed(place, strike):
        training.go(place / "run")


def _judge(job: Job, training: Training, place: Path, whole: dict[str, object], case: str) -> None:
    if training.saving.get("buffer") is False:
        _judge_weights(job, training, place, case)
        return
    resumes = can_resume(place)
    ending = forked.run(lambda: (finish(training, place), everything(place))[1])
    if not ending.is_fine:
        job.tally.bad("the run can't go on", f"{case}: {ending}")
    elif text := difference(whole, ending.answer):
        job.tally.bad("goes on, and differs", f"{case}: {text}")
    elif left := [path.name for path in (place / "checkpoints").rglob(".velora-*")]:
        job.tally.bad("litter in the end", f"{case}: {left[0]}")
    else:
        job.tally.good("resumed to the same bits" if resumes else "begun anew, to the same bits")


def _judge_weights(job: Job, training: Training, place: Path, case: str) -> None:
    """Without buffers a run can't go on; its newest checkpoint loads, and the directory takes the next save."""
    found = Checkpoint.latest(place / "checkpoints")
    ending = forked.run(lambda: None if found is None else training.make().load(found.path) and None)
    if not ending.is_fine:
        job.tally.bad("the newest doesn't load", f"{case}: {ending}")
        return
    shutil.rmtree(place / "checkpoints", ignore_errors=True)
    job.tally.good("the newest loads" if found else "nothing saved yet")
