"""Result of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from velora.core.types import Evaluation


@dataclass(slots=True)
class TrainResult:
    """Sum a finished run up.

    Attributes:
        status: ``"finished"`` when the budget was used up, ``"stopped"`` when a callback stopped it earlier.
        stop_reason: what the callback said; where single seeds were stopped, why each.
        returns: of every training episode of this call, by seed; a resumed run has the earlier ones in its metrics.
        evaluations: every evaluation of this call, in order.
        run_dir: where the metrics are, if anywhere.
        stop_reasons: why each seed was stopped before the others, or ``None``.
        lost: positions on the seed axis that NaN or infinity stopped, of which ``stop_reasons`` has where it came from.
        steps: environment steps of this call, by seed.
    """

    status: str
    stop_reason: str | None
    returns: list[list[float]]
    evaluations: list[Evaluation] = field(default_factory=list)
    run_dir: Path | None = None
    stop_reasons: list[str | None] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
