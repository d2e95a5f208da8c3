"""Treatments of a policy in an audit, and their effects on its return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from velora.audit.batch import Floats
from velora.audit.findings import Effect
from velora.audit.playing import Treatment
from velora.export.policy import Policy

NOISE: Final = (0.03, 0.1, 0.3, 1.0)
"""Noise on observations, in their own deviations."""
DROPOUT: Final = (0.1, 0.3, 0.5)
"""Probabilities that an observation is lost."""
EVERY: Final = (2, 3, 4)
"""Steps between two decisions."""


def treatments(policy: Policy, neurons: Sequence[str], *, is_irregular: bool) -> tuple[list[Treatment], list[str]]:
    """List what is done to the policy, with names; first nothing, then the removal of each neuron."""
    n = sum(layer.n for layer in policy.layers)
    found = [("as it is", Treatment()), *((neurons[k], Treatment(removed=(k,))) for k in range(n))]
    found += [(f"noise {level:g}", Treatment(noise=level)) for level in NOISE]
    found += [(f"dropout {share:g}", Treatment(dropout=share)) for share in DROPOUT]
    for every in EVERY:
        told = ", dt told" if policy.reads_dt else ""
        found.append((f"decides every {every} steps{told}", Treatment(every=every)))
        if policy.reads_dt:
            untold = Treatment(every=every, tells_time=False)
            found.append((f"decides every {every} steps, told 1", untold))
    if policy.reads_dt and is_irregular:
        found.append(("dt isn't told", Treatment(tells_time=False)))
    return [one for _, one in found], [name for name, _ in found]


def effect(name: str, returns: Floats, undisturbed: Floats) -> Effect:
    """Compare what episodes earn under a treatment with what they earn without one, (episodes,) each."""
    change = returns - undisturbed
    low, high = paired_interval(change)
    return Effect(name, float(returns.mean()), float(change.mean()), low, high)


def paired_interval(differences: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the mean of paired differences; NaN for one of them.

    A bootstrap of three episodes would be far too sure of itself.

    Source:
        Student 1908. Quantiles from 11 degrees of freedom on by the expansion in Abramowitz & Stegun 1964, 26.7.5.
    """
    n = len(differences)
    if n < 2:
        return np.nan, np.nan
    free = n - 1
    far = _QUANTILES[free - 1] if free <= len(_QUANTILES) else _far_quantile(free)
    middle, wide = float(differences.mean()), far * float(differences.std(ddof=1)) / n**0.5
    return middle - wide, middle + wide


def _far_quantile(free: int) -> float:
    z = 1.959964
    parts = z, (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return float(sum(part / free**k for k, part in enumerate(parts)))


_QUANTILES: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
"""0.975 quantiles of Student's t, from one degree of freedom on."""
