"""What a logger is told of the run that it writes about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """Numbers of one environment step; ``time_s`` is when they were logged, in seconds since 1970."""

    metrics: Mapping[str, float]
    step: int
    time_s: float


@dataclass(frozen=True)
class Facts:
    """Run as loggers see it.

    Attributes:
        run_id: the same in every part of a run that was stopped and resumed.
        directory: where files go; of a run without a directory ``logs/<run_id>`` in the current one.
        name: what people see in a list of runs.
        group: the sweep that the run is a job of, if any.
        is_resumed: the run goes on.
        rows_until: environment step after which there are no rows yet, for each prefix of the metrics' names: of one
            seed the prefix is empty, of several it is ``seed<seed>/``.
    """

    run_id: str
    directory: Path
    name: str
    group: str | None = None
    is_resumed: bool = False
    rows_until: Mapping[str, int] = field(default_factory=lambda: {"": 0})
