"""The settings of ``velora drive`` that no other command has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from velora.cli.settings.fields import told


@dataclass
class DriveWords:
    """How a plant is driven."""

    rate: float = told(..., "ticks of the loop in a second")
    steps: int | None = told(None, "ticks to drive for; ``None``: until Ctrl+C")
    step_s: float | None = told(
        None,
        "seconds of a control step, the unit of the policy's dt; ``None``: the environment's or the plant's own, else "
        "one period. Of a simulated plant, less is a world that goes faster",
    )
    plant: str = told(
        "simulated",
        "``simulated``: the environment, stepped by the clock; ``tcp://host:port``; ``my_module:MyPlant``, a class; "
        "with loop=c also ``my_plant.c``",
    )
    physics: int | None = told(
        None, "steps of a simulated plant's physics in a control step; ``None``: two in every period, at least 10"
    )
    policy: str = told("python", "``python``; ``c``: exported and compiled now; or a directory of velora export to=c")
    loop: str = told("python", "``python``, or ``c`` with a policy in C: for a thousand ticks a second and more")
    learn: bool = told(False, "explore, and go on learning while driving, in another thread")
    batch_size: int = told(64, "windows in one update of learning")
    save: str | None = told(None, "a directory for what was learned")
    record: str | None = told(None, "a file for every tick: ``.npy``, ``.csv`` or ``.parquet`` (needs pyarrow)")
    safe: Any = told(  # noqa: RUF009 - makes a field
        None, "the safe action, such as ``[0.0]``; ``None`` is 0 within the action's bounds"
    )
    deadline: float = told(1.0, "share of the period in which a tick's action has to be written")
    misses: int = told(20, "missed deadlines in a row at which the watchdog writes the safe action")
    silent_s: float = told(0.5, "seconds without a reading at which it does")
    recover: bool = told(False, "go on when plant and deadlines are well again, instead of ending there")
    spin_us: float = told(200.0, "microseconds before a tick at which the loop stops sleeping and watches the clock")
    priority: int = told(0, "real-time priority (SCHED_FIFO), 1 to 99; 0 for none")
    seed: int = told(0, "of a simulated plant's first episode")
