"""The audit of an agent: everything that is measured about its policy, in the order in which it is told."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from velora.audit.attribution import attribute, mean_currents
from velora.audit.batch import Floats
from velora.audit.bounds import Looseness, looseness, reachable
from velora.audit.intervals import Interval
from velora.audit.playing import Treatment, play
from velora.audit.sensitivity import slopes, steepness
from velora.audit.states import principal_shares, probe, with_previous
from velora.core.errors import SettingError
from velora.envs.actions import ActionBounds
from velora.envs.make import Env, EnvironmentSource
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.kernels.layers import Kind
from velora.models.agent import Agent
from velora.training.evaluation import MAX_STEPS, reset_seeds
from velora.watch.trace import Trace, trace

NOISE: Final = (0.03, 0.1, 0.3, 1.0)
"""Noise on observations, in their own deviations."""
DROPOUT: Final = (0.1, 0.3, 0.5)
"""Probabilities that an observation is lost."""
EVERY: Final = (2, 3, 4)
"""Steps between two decisions."""
RADII: Final = (0.001, 0.01, 0.1)
"""Half widths of boxes around what was seen, in deviations of observations."""
STEPS: Final = (1, 5, 20)
"""Steps that bounds go over."""
MOST_TRACED: Final = 1000
"""Steps of an episode that are recorded neuron by neuron."""
LEAST_RECORDED: Final = 10
"""Episodes that are recorded as they are, however few are played under treatments: probes need them, at little cost."""
_POINTS, _BOXES = 2000, 16
_CALLS: Final = 500


class Progress(Protocol):
    """Listener of an audit."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """Take note of a part that begins, how far it goes, and in what unit, in the singular."""
        ...

    def advance(self, n: int = 1) -> None:
        """Take note of n more."""
        ...


class Silent:
    """A listener that tells nobody."""

    def begin(self, what: str, total: int, unit: str = "") -> None:
        """See :class:`Progress`."""

    def advance(self, n: int = 1) -> None:
        """See :class:`Progress`."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a treatment does to the return, over the same episodes without and with it.

    Attributes:
        name: of the treatment.
        mean: return with it.
        change: mean of the differences, episode by episode.
        low, high: 95 % interval of that mean over episodes, by Student's t of the differences; NaN for one episode. It
            says nothing about other agents.
    """

    name: str
    mean: float
    change: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Probed:
    """How well a quantity of the simulator can be read off linearly, in episodes held out: R squared.

    Attributes:
        name: of the quantity, with its unit.
        observation: off the observation alone.
        two: off this observation and the one before.
        state: off the recurrent state.
    """

    name: str
    observation: float
    two: float
    state: float


@dataclass(frozen=True, slots=True)
class Bounded:
    """Bounds over boxes around what was seen, and how loose they are.

    Attributes:
        radius: half width of a box, in deviations of each number of an observation; ``None`` is the whole range of
            observations and times seen, with every state that can be reached.
        n_steps: over which any observation in the boxes may be seen.
    """

    radius: float | None
    n_steps: int
    looseness: Looseness


@dataclass(frozen=True, slots=True)
class Audit:
    """What was measured.

    Attributes:
        policy: its description.
        environment: identifier.
        n_parameters: of the actor, masked weights not counted. ``n_synapses``: of its circuit.
        size_bytes: of the parameters in float32.
        ms_per_action: median time of ``predict``, on this machine, with the agent's kernel.
        returns: of every episode, undisturbed, in float64.
        components: share of variance of each principal component of the recurrent state.
        probes: of the simulator's quantities; empty where nothing is known about it, or there is one episode.
        removals: a neuron each, in the order of the circuit.
        disturbances: noise, dropout, rarer decisions.
        slope: largest local slope found, a lower bound of the Lipschitz constant, and the median, in reaches of an
            answer by deviations of observations.
        answers, sources, attribution: names, and (answers, sources) shares that sum to 1; the last source is memory.
        strongest: synapses by mean absolute current, the largest first.
        largest_state: largest absolute number of a state in the episodes.
        bound_of_state: largest that any state can have; infinite where there is no bound.
        bounds: of answers.
        traces: recorded episodes.
    """

    policy: Policy
    environment: str
    n_parameters: int
    n_synapses: int
    size_bytes: int
    ms_per_action: float
    kernel: str
    returns: Floats
    components: Floats
    probes: tuple[Probed, ...]
    removals: tuple[Effect, ...]
    disturbances: tuple[Effect, ...]
    slope: tuple[float, float]
    answers: tuple[str, ...]
    sources: tuple[str, ...]
    attribution: Floats
    strongest: tuple[tuple[str, float], ...]
    largest_state: float
    bound_of_state: float
    bounds: tuple[Bounded, ...]
    traces: tuple[Trace, ...] = field(repr=False)
    seconds: float = 0.0

    @property
    def neurons(self) -> tuple[str, ...]:
        """Names of the neurons, in the order of a trace's activities."""
        first = self.policy.n_inputs
        return tuple(one.name for one in self.traces[0].circuit.neurons[first : first + len(self.removals)])


def audit(
    agent: Agent,
    env: Env | str,
    *,
    episodes: int = 10,
    seed: int | None = None,
    max_steps: int = MAX_STEPS,
    progress: Progress | None = None,
) -> Audit:
    """Measure what an agent's network does.

    Args:
        agent: of one seed.
        env: an environment, or the id of one; removals and disturbances are played in copies of it, side by side.
        episodes: to play, each under every treatment. At least ten are recorded as they are, for all else.
        seed: decides them; ``None`` takes those of evaluation.
        max_steps: an episode that is so long is cut.
        progress: is told how far it is.

    Raises:
        ExportError: if the agent's policy can't be described; see :func:`velora.export.describe.describe`.
        SpaceError: if the environment doesn't fit the agent.
        SettingError: if a number is out of its domain.
    """
    for name, given in (("episodes", episodes), ("max_steps", max_steps)):
        if given < 1:
            raise SettingError(f"audit: expected {name} of at least 1, got {given}")
    listener, began = progress or Silent(), time.monotonic()
    made = EnvironmentSource(env).first()[0] if isinstance(env, str) else env
    try:
        return _audit(agent, made, episodes, seed, max_steps, listener, began)
    finally:
        if isinstance(env, str):
            made.close()


def _audit(
    agent: Agent, env: Env, episodes: int, seed: int | None, max_steps: int, progress: Progress, began: float
) -> Audit:
    progress.begin("recording", n_recorded := max(episodes, LEAST_RECORDED), "episode")
    traces = []
    for number in range(1, n_recorded + 1):
        traces.append(trace(agent, env, seed=seed, episode=number, max_steps=min(max_steps, MOST_TRACED)))
        progress.advance()
    policy, circuit = describe(agent), traces[0].circuit
    spread = _joined(traces, "observation").std(0)
    is_irregular = any((one.dt != 1.0).any() for one in traces)
    inner = [one.name for one in circuit.neurons[policy.n_inputs :]]
    treatments, names = _treatments(policy, inner, is_irregular=is_irregular)
    progress.begin("removing neurons, disturbing", len(treatments) * episodes, "episode")
    seeds, on_episode = reset_seeds(seed, episodes), progress.advance
    returns = play(policy, env, treatments, seeds, spread=spread, max_steps=max_steps, on_episode=on_episode)
    effects = [_effect(name, row, returns[0]) for name, row in zip(names, returns, strict=True)]
    n_neurons = traces[0].activity.shape[1]
    strength = mean_currents([one.current for one in traces])
    answers, shares = attribute(circuit, strength)
    progress.begin("bounds", 1)
    bounds = _bounds(policy, traces, spread, seed=seed or 0)
    known = reachable(policy, n_steps=max(one.n_steps for one in traces), shortest=_shortest(traces))
    unbounded = any(layer.kind in (Kind.LSTM, Kind.LSTM_LAYER, Kind.RELU) for layer in policy.layers)
    summary = agent.summary()["networks"]["actor"]
    return Audit(
        policy=policy,
        environment=traces[0].environment or str(env.spec.id if env.spec else type(env.unwrapped).__name__),
        n_parameters=int(summary["active"]),
        n_synapses=len(circuit.synapses),
        size_bytes=4 * int(summary["active"]),
        ms_per_action=_ms_per_action(agent, traces[0]),
        kernel=agent.kernel,
        returns=returns[0],
        components=principal_shares(_joined(traces, "state")),
        probes=_probes(traces),
        removals=tuple(effects[1 : 1 + n_neurons]),
        disturbances=tuple(effects[1 + n_neurons :]),
        slope=_slope(policy, traces, spread),
        answers=tuple(circuit.neurons[at].name for at in answers),
        sources=(*(circuit.neurons[at].name for at in circuit.layers["sensory"]), "memory"),
        attribution=shares,
        strongest=_strongest(traces[0], strength),
        largest_state=float(np.abs(_joined(traces, "state")).max()),
        bound_of_state=np.inf if unbounded else float(np.abs((known.low, known.high)).max()),
        bounds=tuple(bounds),
        traces=tuple(traces),
        seconds=time.monotonic() - began,
    )


def _treatments(policy: Policy, neurons: Sequence[str], *, is_irregular: bool) -> tuple[list[Treatment], list[str]]:
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


def _effect(name: str, returns: Floats, undisturbed: Floats) -> Effect:
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


def _joined(traces: Sequence[Trace], name: str) -> Floats:
    joined: Floats = np.concatenate([getattr(one, name) for one in traces]).astype(np.float64)
    return joined


def _probes(traces: Sequence[Trace]) -> tuple[Probed, ...]:
    known = traces[0].simulator
    if known is None or len(traces) < 2:
        return ()
    targets, seen, states = (
        [np.asarray(getattr(one, name), np.float64) for one in traces] for name in ("physics", "observation", "state")
    )
    seen = [np.column_stack((x, one.dt)) for x, one in zip(seen, traces, strict=True)]
    columns = probe(seen, targets), probe([with_previous(one) for one in seen], targets), probe(states, targets)
    names = [f"{name} ({unit})" if unit else name for name, unit in zip(known.names, known.units, strict=True)]
    return tuple(Probed(name, *map(float, row)) for name, *row in zip(names, *columns, strict=True))


def _before(one: Trace) -> Floats:
    """Return the states before each step, (T, H)."""
    return np.concatenate((np.zeros_like(one.state[:1]), one.state[:-1])).astype(np.float64)


def _reach(policy: Policy, outputs: Floats) -> Floats:
    """Return what answers are measured by: half the range of an action, or the deviation of a choice's outputs."""
    if isinstance(policy.units, ActionBounds):
        return policy.units.arrays[2].astype(np.float64)
    varied: Floats = np.maximum(outputs.std(0), 1e-9)
    return varied


def _slope(policy: Policy, traces: Sequence[Trace], spread: Floats) -> tuple[float, float]:
    obs, states = _joined(traces, "observation"), np.concatenate([_before(one) for one in traces])
    dt, outputs = _joined(traces, "dt"), _joined(traces, "output")
    some = np.random.default_rng(0).permutation(len(obs))[:_POINTS]
    found = steepness(slopes(policy, obs[some], states[some], dt[some]), spread, _reach(policy, outputs))
    return float(found.max()), float(np.median(found))


def _shortest(traces: Sequence[Trace]) -> float:
    return float(min(one.dt.min() for one in traces))


def _bounds(policy: Policy, traces: Sequence[Trace], spread: Floats, *, seed: int) -> list[Bounded]:
    """Bound and sample boxes around windows of the episodes, then the whole range of what was seen."""
    reach, chance = _reach(policy, _joined(traces, "output")), np.random.default_rng(seed)
    found = []
    for n_steps in STEPS:
        long = [one for one in traces if one.n_steps >= n_steps]
        if not long:
            continue
        chosen = [long[k] for k in chance.integers(len(long), size=_BOXES)]
        starts = [int(chance.integers(one.n_steps - n_steps + 1)) for one in chosen]
        state = np.stack([_before(one)[at] for one, at in zip(chosen, starts, strict=True)])
        for radius in RADII:
            seen, times = [], []
            for k in range(n_steps):
                middle = np.stack([one.observation[at + k] for one, at in zip(chosen, starts, strict=True)])
                low, high = middle.astype(np.float64) - radius * spread, middle.astype(np.float64) + radius * spread
                seen.append(Interval(low, high))
                times.append(Interval.point(np.array([one.dt[at + k] for one, at in zip(chosen, starts, strict=True)])))
            own = looseness(policy, seen, Interval.point(state), times, reach=reach, seed=seed)
            found.append(Bounded(radius, n_steps, own))
    obs, dt = _joined(traces, "observation"), _joined(traces, "dt")
    everywhere = reachable(policy, n_steps=max(one.n_steps for one in traces), shortest=float(dt.min()))
    if np.isfinite(everywhere.high).all():
        seen, times = (
            [Interval(obs.min(0)[None], obs.max(0)[None])],
            [Interval(dt[:1] * 0 + dt.min(), dt[:1] * 0 + dt.max())],
        )
        own = looseness(policy, seen, everywhere, times, reach=reach, n_samples=4096, seed=seed)
        found.append(Bounded(None, 1, own))
    return found


def _strongest(one: Trace, strength: Floats) -> tuple[tuple[str, float], ...]:
    names, synapses = [neuron.name for neuron in one.circuit.neurons], one.circuit.synapses
    order = np.argsort(-strength)[:10].tolist()
    return tuple((f"{names[synapses[k].source]} to {names[synapses[k].target]}", float(strength[k])) for k in order)


def _ms_per_action(agent: Agent, one: Trace) -> float:
    """Time ``predict`` along an episode."""
    hidden, took = None, list[float]()
    for number in range(_CALLS):
        at = number % one.n_steps
        obs, dt = one.observation[at].copy(), float(one.dt[at])
        began = time.perf_counter()
        _, hidden = agent.predict(obs, hidden if at else None, dt=dt)
        took.append(time.perf_counter() - began)
    return 1e3 * statistics.median(took)
