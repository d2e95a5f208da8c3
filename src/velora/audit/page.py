"""The page of an audit: one file, which loads nothing."""

from __future__ import annotations

import base64
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from velora.analysis import wiring
from velora.analysis.page import Markup, figure, figures, folded, notes, page, section, table
from velora.analysis.table import number
from velora.audit import pictures, report
from velora.audit.findings import Audit

_MOST_PLANES: Final = 24
_MANY_VALUES: Final = 12


def audit_page(found: Audit, circuit: wiring.Circuit, *, command: str = "") -> str:
    """Return the page.

    Args:
        found: an audit.
        circuit: the policy's wiring, as :func:`velora.export.wiring.wiring_of` describes it.
        command: that made it, for its foot.
    """
    origin = found.policy.origin
    title = f"Audit of {origin.agent} on {found.environment}"
    lead = (
        f"{len(found.returns)} episodes, each again without every neuron and under every disturbance; "
        f"{len(found.traces)} were recorded for all else. "
        "What is a theorem, what is measured and what is an estimate is said at each."
    )
    parts = [
        section("In short", _WRAPPED, Markup(f'<div class="wrapped">{_short(found)}</div>')),
        _bounds(found),
        _effects(found),
        _states(found),
        _attribution(found, circuit),
        _pictures(found),
    ]
    return page(title, parts, lead=lead, foot=command)


_WRAPPED = Markup("<style>.wrapped td:last-child { white-space: normal }</style>")


def _short(found: Audit) -> Markup:
    return table(("what", "found"), report.findings(found), label="In short", n_names=2)


def _bounds(found: Audit) -> Markup:
    rows = []
    for one in found.bounds:
        own, box = one.looseness, "all that was seen, any state" if one.radius is None else f"± {one.radius:g}"
        shares = ("", "") if math.isnan(own.certain) else (report.percent(own.certain), report.percent(own.steady))
        numbers = (
            f"{own.bounded:.3g}",
            f"{own.sampled:.3g}",
            f"{own.ratio:.3g}",
            f"{own.violations} of {own.n_samples:,}",
        )
        rows.append((box, str(one.n_steps), *numbers, *shares))
    columns = ["box", "steps", "width of the bound", "samples span", "looseness", "samples outside"]
    if found.policy.is_discrete:
        columns += ["one choice is certain", "samples agree"]
    holds = "" if found.bound_from_dt is None else f" where no step is shorter than dt={found.bound_from_dt:g}"
    limit = (
        f"Every number of a state lies within ±{found.bound_of_state:.3g}{holds}, whatever the policy is shown: a "
        "theorem about this cell. "
        if math.isfinite(found.bound_of_state)
        else "This cell has no bound of its states. "
    )
    note = (
        f"{limit}In these episodes the largest was {found.largest_state:.7g}. Below, intervals are computed for "
        "answers over boxes: any observation that is at most so many deviations away from one that was seen, in each "
        "number, at every step. They hold for all of a box, in exact arithmetic; float32 adds some 1e-6. Widths are "
        "in reaches of an answer (half of an action's range, or a deviation of what a choice is made by), so an "
        "action's is at most 2. Samples find widths from below only: bounds are at most as loose as the table says."
    )
    return section(
        "Bounds that hold",
        table(columns[: len(rows[0])] if rows else columns, [r[: len(columns)] for r in rows]),
        note=note,
    )


def _effects(found: Audit) -> Markup:
    ranked = sorted(found.removals, key=lambda one: one.change)
    drawn = [
        figure(pictures.effects(ranked, title="Without a neuron")),
        figure(pictures.effects(found.disturbances, title="Disturbed")),
    ]
    rows = [tuple(report.effect_row(one).values()) for one in (*ranked, *found.disturbances)]
    said = notes(
        [
            "A removed neuron puts out 0, always.",
            "Noise is in deviations of each number of an observation, on all of them, also on those that wrappers add.",
            "Dropout shows the observation before again, with this probability at each step.",
            "Rarer decisions hold the action; the policy is told the time since its last one, or isn't.",
            report.INTERVALS + " Of twenty, one is off by chance.",
        ]
    )
    columns = ("without, or under", "earns", "change", "from", "to")
    note = f"The return is {number(float(found.returns.mean()))} as it is; below is by how much it changes."
    return section(
        "What it can do without", figures(drawn), said, folded("Every number", table(columns, rows)), note=note
    )


def _states(found: Audit) -> Markup:
    shares = [(f"{k + 1}", report.percent(share)) for k, share in enumerate(found.components[:5])]
    parts = [table(("component", "share of variance"), shares, caption="Principal components of the recurrent state")]
    if found.probes:
        rows = [
            (one.name, *(report.r_squared(value) for value in (one.observation, one.two, one.state)))
            for one in found.probes
        ]
        columns = ("quantity", "observation", "two observations", "state")
        parts.append(table(columns, rows, caption="R² of a linear probe, in episodes that it wasn't fitted to"))
    note = (
        "A quantity that the state predicts and the observation doesn't is one that the network worked out, or one "
        "that goes along with something it did; two observations beside each other are what a memory is to be "
        "compared with."
        if found.probes
        else "What the state says of positions and velocities is measured in Gymnasium's classic control and MuJoCo "
        "tasks, whose physics can be read."
    )
    return section("What its states hold", *parts, note=note)


def _attribution(found: Audit, circuit: wiring.Circuit) -> Markup:
    rows = [
        (source, *(report.percent(float(share)) for share in shares))
        for source, shares in zip(found.sources, found.attribution.T, strict=True)
    ]
    strongest = [(name, f"{value:.3g}") for name, value in found.strongest]
    svg = base64.b64encode(wiring.draw(circuit, title="Wiring of the policy").encode()).decode()
    source = f"data:image/svg+xml;base64,{svg}"
    drawn = Markup(f'<figure><img alt="{circuit.describe()}" src="{source}" style="max-width:100%"></figure>')
    note = (
        "Each answer is handed back along synapses, in proportion to their mean absolute currents, from column to "
        "column; what comes from an earlier step is memory. A current is weight times the source's activity."
    )
    return section(
        "What its answers come from",
        table(("comes from", *found.answers), rows),
        drawn,
        table(("strongest synapses", "mean current"), strongest),
        note=note,
    )


def _axes(seen: NDArray[Any]) -> list[int]:
    """Choose two observations to draw neurons over: the first that take many values, not switches or choices."""
    varied = [len(np.unique(one)) for one in seen.T]
    order = sorted(range(len(varied)), key=lambda k: (varied[k] < _MANY_VALUES, k))
    return [order[0], order[min(1, len(order) - 1)]]


def _pictures(found: Audit) -> Markup:
    traces, first = found.traces, found.traces[0]
    known = first.simulator
    activity = np.concatenate([one.activity for one in traces]).astype(np.float64)
    if known is not None:
        plotted = np.concatenate([one.physics for one in traces])[:, list(known.plane)]
        names = [known.names[k] for k in known.plane]
    else:
        seen = np.concatenate([one.observation for one in traces])
        axes = _axes(seen)
        plotted, names = seen[:, axes], [first.circuit.neurons[k].name for k in axes]
    x, y = plotted.astype(np.float64).T
    order = np.argsort([one.change for one in found.removals])[:_MOST_PLANES].tolist()
    planes = [
        figure(pictures.plane(x, y, activity[:, k], name=found.neurons[k], across=names[0], up=names[1])) for k in order
    ]
    grid = Markup(
        '<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1rem">'
        + "".join(map(str, planes))
        + "</div>"
    )
    parts = [grid]
    times = first.time_constant.astype(np.float64)
    if np.isfinite(times).any():
        parts.append(
            figure(pictures.strip(times, found.neurons, title="Time constants", across="steps of the first episode"))
        )
    note = (
        f"Mean activity of neurons over {names[0]} and {names[1]}, those that are missed most first: blue above zero, "
        "orange below, each neuron on a scale of its own. "
        + (f"A time constant is {first.circuit.time_means}." if first.circuit.time_means else "")
    )
    return section("What its neurons do", *parts, note=note)
