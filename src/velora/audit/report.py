"""An audit as text and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from velora.analysis.rows import Rows
from velora.analysis.table import as_lines, number
from velora.audit.findings import Audit, Bounded, Effect

INTERVALS = (
    "Intervals are 95 %, of the mean over episodes of this one agent, each episode compared with itself untreated."
)


def findings(found: Audit) -> list[tuple[str, str]]:
    """Return the findings, a name and a text each; the same lines are in the terminal and on the page."""
    policy, n = found.policy, len(found.returns)
    size = (
        f"{found.n_parameters:,} parameters, {found.size_bytes:,} bytes in float32; {len(found.removals)} neurons, "
        f"{found.traces[0].circuit.counted}; {found.ms_per_action:.3f} ms an action ({found.kernel} kernel)"
    )
    states = (
        f"{percent(found.components[0])} of their variance is in one dimension, "
        f"{percent(float(found.components[:3].sum()))} in three"
    )
    slope = (
        f"{found.slope[0]:.2f} at most where it was, {found.slope[1]:.2f} in the median: reaches of an answer per "
        "deviation of what is seen; an estimate, a lower bound of the Lipschitz constant"
    )
    return [
        ("policy", f"{policy.origin.agent}, {policy.origin.cell}, on {found.environment}"),
        ("size", size),
        ("return", f"{number(float(found.returns.mean()))} ± {number(float(found.returns.std()))} over {n} episodes"),
        ("states", states),
        *_of_probes(found),
        ("removals", _of_removals(found)),
        ("slope", slope),
        *((f"{one} from", _sources(found, k)) for k, one in enumerate(found.answers)),
        ("state bound", _of_states(found)),
        *_of_bounds(found),
    ]


def percent(share: float) -> str:
    """Write a share.

    Example:
        >>> percent(0.4567)
        '46 %'
    """
    return f"{100 * share:.0f} %"


def r_squared(value: float) -> str:
    """Write R squared; whatever is worse than the mean is below 0."""
    return "" if math.isnan(value) else "below 0" if value < 0.0 else f"{value:.2f}"


def _of_probes(found: Audit) -> list[tuple[str, str]]:
    hidden = [one for one in found.probes if one.observation < 0.5]
    if not hidden:
        return []
    best = max(hidden, key=lambda one: max(one.state, 0.0) - max(one.observation, 0.0))
    text = (
        f"{best.name} can be read off the state, R² {r_squared(best.state)}; off the observation, "
        f"{r_squared(best.observation)}; off two observations, {r_squared(best.two)}"
    )
    return [("probe", text)]


def _of_removals(found: Audit) -> str:
    worse = [one for one in found.removals if one.high < 0.0]
    missed = "is missed" if len(worse) == 1 else "are missed"
    text = f"{len(worse)} of {len(found.removals)} neurons {missed} (an interval below zero)"
    if worse:
        most = min(worse, key=lambda one: one.change)
        text += f", {most.name} most: {number(most.change)} ({number(most.low)} to {number(most.high)})"
    return text


def _sources(found: Audit, answer: int) -> str:
    row = found.attribution[answer]
    order = np.argsort(-row)[:4].tolist()
    return ", ".join(f"{percent(float(row[k]))} {found.sources[k]}" for k in order)


def _of_states(found: Audit) -> str:
    bound = found.bound_of_state
    limit = f"at most {bound:.3g}" if math.isfinite(bound) else "no bound of its memory"
    holds = "" if found.bound_from_dt is None else f" for steps of at least dt={found.bound_from_dt:g}"
    return f"{limit} by theorem{holds}, {found.largest_state:.7g} in these episodes"


def _of_bounds(found: Audit) -> list[tuple[str, str]]:
    def told(one: Bounded) -> str:
        own = one.looseness
        box = "everything seen, any state" if one.radius is None else f"± {one.radius:g} deviations"
        steps = f", {one.n_steps} steps" if one.n_steps > 1 else ", 1 step"
        certain = "" if math.isnan(own.certain) else f"; one choice is certain in {percent(own.certain)} of boxes"
        return f"{box}{steps}: width {own.bounded:.3g}, {own.ratio:.2g} x what {own.n_samples:,} samples span{certain}"

    chosen = [one for one in found.bounds if one.radius in (0.001, 0.01, None) and one.n_steps in (1, 5)]
    return [("bound", told(one)) for one in chosen]


def table(found: Audit, *, width: int | None = None) -> str:
    """Write the findings, and the effects that are sure, for a terminal.

    Args:
        width: the letters that a line may have; ``None`` for as many as it takes.
    """
    lines = [f"{name:<16}{text}" for name, text in findings(found)]
    sure = [one for one in found.removals if one.low > 0.0 or one.high < 0.0]
    most = sorted(sure, key=lambda one: one.change)[:8]
    rows = [effect_row(one) for one in (*most, *found.disturbances)]
    columns = ("without, or under", "earns", "change", "from", "to")
    numbers = {"earns", "change", "from", "to"}
    aligned = as_lines(Rows(rows), columns, width=width, numbers=numbers)
    return "\n".join([*lines, "", *aligned, "", INTERVALS, f"{found.seconds:.0f} s"]) + "\n"


def effect_row(one: Effect) -> dict[str, Any]:
    """Write an effect, a text each column."""
    return {
        "without, or under": one.name,
        "earns": number(one.mean),
        "change": number(one.change),
        "from": number(one.low),
        "to": number(one.high),
    }


def document(found: Audit) -> dict[str, Any]:
    """Return every number of an audit but the episodes themselves, for JSON; what isn't finite is ``None``."""
    origin = found.policy.origin
    numbers = {
        "agent": origin.agent,
        "cell": origin.cell,
        "environment": found.environment,
        "velora": origin.velora_version,
        "sizes": {
            "parameters": found.n_parameters,
            "synapses": found.n_synapses,
            "neurons": len(found.removals),
            "bytes": found.size_bytes,
        },
        "ms_per_action": found.ms_per_action,
        "kernel": found.kernel,
        "returns": found.returns,
        "principal_components": found.components,
        "probes": [
            {"name": one.name, "observation": one.observation, "two_observations": one.two, "state": one.state}
            for one in found.probes
        ],
        "removals": [_effect(one) for one in found.removals],
        "disturbances": [_effect(one) for one in found.disturbances],
        "slope": {"largest": found.slope[0], "median": found.slope[1]},
        "attribution": {
            answer: dict(zip(found.sources, row.tolist(), strict=True))
            for answer, row in zip(found.answers, found.attribution, strict=True)
        },
        "strongest_synapses": [{"name": name, "mean_current": value} for name, value in found.strongest],
        "state": {"largest": found.largest_state, "bound": found.bound_of_state, "from_dt": found.bound_from_dt},
        "bounds": [_bounded(one) for one in found.bounds],
        "seconds": found.seconds,
    }
    return {name: _plain(value) for name, value in numbers.items()}


def _effect(one: Effect) -> dict[str, Any]:
    return {"name": one.name, "return": one.mean, "change": one.change, "interval": [one.low, one.high]}


def _bounded(one: Bounded) -> dict[str, Any]:
    own = one.looseness
    return {
        "radius": one.radius,
        "steps": one.n_steps,
        "width": own.bounded,
        "sampled_width": own.sampled,
        "ratio": own.ratio,
        "certain": own.certain,
        "steady": own.steady,
        "violations": own.violations,
        "samples": own.n_samples,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
