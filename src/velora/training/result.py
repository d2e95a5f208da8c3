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

    def __repr__(self) -> str:
        """Return one line: status, and the numbers of episodes, steps and evaluations of each seed."""
        evaluations = [sum(one.seed_index == at for one in self.evaluations) for at in range(len(self.returns))]
        counts = {"episodes": [*map(len, self.returns)], "steps": self.steps, "evaluations": evaluations}
        said = {"status": self.status, "stop_reason": self.stop_reason, "lost": self.lost or None}
        facts = {**said, **counts, "run_dir": self.run_dir and str(self.run_dir)}
        return f"TrainResult({', '.join(f'{name}={value!r}' for name, value in facts.items() if value is not None)})"
