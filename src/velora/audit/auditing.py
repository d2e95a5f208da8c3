"""The audit of an agent: everything that is measured about its policy, in the order in which it is told."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from velora.audit.attribution import attribute, mean_currents
from velora.audit.batch import Floats
from velora.audit.bounds import reachable
from velora.audit.boxes import bounds, shortest
from velora.audit.effects import effect, treatments
from velora.audit.findings import Audit, Effect, Probed
from velora.audit.playing import play
from velora.audit.recorded import before, joined, reach_of
from velora.audit.sensitivity import slopes, steepness
from velora.audit.states import principal_shares, probe, with_previous
from velora.core.errors import SettingError
from velora.envs.make import Env, EnvironmentSource
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.export.progress import Progress, Silent
from velora.kernels.layers import Kind
from velora.models.agent import Agent
from velora.training.evaluation import MAX_STEPS, reset_seeds
from velora.watch.trace import Trace, trace

MOST_TRACED: Final = 1000
"""Steps of an episode that are recorded neuron by neuron."""
LEAST_RECORDED: Final = 10
"""Episodes that are recorded as they are, however few are played under treatments: probes need them, at little cost."""
_POINTS: Final = 2000
_CALLS: Final = 500


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
    made, is_own = EnvironmentSource(env).first()
    try:
        return _audit(agent, made, episodes, seed, max_steps, listener, began)
    finally:
        if is_own:
            made.close()


def _audit(
    agent: Agent, env: Env, episodes: int, seed: int | None, max_steps: int, progress: Progress, began: float
) -> Audit:
    traces = _recorded(agent, env, max(episodes, LEAST_RECORDED), seed, max_steps, progress)
    policy, first, circuit = describe(agent), traces[0], traces[0].circuit
    spread, states = joined(traces, "observation").std(0), joined(traces, "state")
    seeds = reset_seeds(seed, episodes)
    returns, effects = _treated(policy, env, traces, seeds, spread, max_steps=max_steps, progress=progress)
    n_neurons, n_active = first.activity.shape[1], int(agent.summary()["networks"]["actor"]["active"])
    strength = mean_currents([one.current for one in traces])
    answers, shares = attribute(circuit, strength)
    progress.begin("bounds", 1)
    return Audit(
        policy=policy,
        environment=first.environment or str(env.spec.id if env.spec else type(env.unwrapped).__name__),
        n_parameters=n_active,
        n_synapses=len(circuit.synapses),
        size_bytes=4 * n_active,
        ms_per_action=_ms_per_action(agent, first),
        kernel=agent.kernel,
        returns=returns,
        components=principal_shares(states),
        probes=_probes(traces),
        removals=effects[:n_neurons],
        disturbances=effects[n_neurons:],
        slope=_slope(policy, traces, spread),
        answers=tuple(circuit.neurons[at].name for at in answers),
        sources=(*(circuit.neurons[at].name for at in circuit.layers["sensory"]), "memory"),
        attribution=shares,
        strongest=_strongest(first, strength),
        largest_state=float(np.abs(states).max()),
        bound_of_state=_bound_of_state(policy, traces),
        bound_from_dt=_bound_from_dt(policy, traces),
        bounds=tuple(bounds(policy, traces, spread, seed=seed or 0)),
        traces=traces,
        seconds=time.monotonic() - began,
    )


def _recorded(
    agent: Agent, env: Env, n: int, seed: int | None, max_steps: int, progress: Progress
) -> tuple[Trace, ...]:
    progress.begin("recording", n, "episode")
    traces = []
    for number in range(1, n + 1):
        traces.append(trace(agent, env, seed=seed, episode=number, max_steps=min(max_steps, MOST_TRACED)))
        progress.advance()
    return tuple(traces)


def _treated(
    policy: Policy,
    env: Env,
    traces: Sequence[Trace],
    seeds: Sequence[int],
    spread: Floats,
    *,
    max_steps: int,
    progress: Progress,
) -> tuple[Floats, tuple[Effect, ...]]:
    """Play the episodes under every treatment; return what they earn without one, and the effects."""
    is_irregular = any((one.dt != 1.0).any() for one in traces)
    neurons = [one.name for one in traces[0].circuit.neurons[policy.n_inputs :]]
    listed, names = treatments(policy, neurons, is_irregular=is_irregular)
    progress.begin("removing neurons, disturbing", len(listed) * len(seeds), "episode")
    returns = play(policy, env, listed, seeds, spread=spread, max_steps=max_steps, on_episode=progress.advance)
    return returns[0], tuple(effect(*row, returns[0]) for row in zip(names[1:], returns[1:], strict=True))


def _bound_of_state(policy: Policy, traces: Sequence[Trace]) -> float:
    """Return the largest number that any state can hold, however long an episode is."""
    if any(layer.kind in (Kind.LSTM, Kind.LSTM_LAYER, Kind.RELU) for layer in policy.layers):
        return np.inf
    known = reachable(policy, n_steps=0, shortest=shortest(traces))
    return float(np.abs((known.low, known.high)).max())


def _bound_from_dt(policy: Policy, traces: Sequence[Trace]) -> float | None:
    pure = policy.tells_time and any(layer.kind is Kind.CFC_PURE for layer in policy.layers)
    return shortest(traces) if pure else None


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


def _slope(policy: Policy, traces: Sequence[Trace], spread: Floats) -> tuple[float, float]:
    obs, states = joined(traces, "observation"), np.concatenate([before(one) for one in traces])
    dt, outputs = joined(traces, "dt"), joined(traces, "output")
    some = np.random.default_rng(0).permutation(len(obs))[:_POINTS]
    found = steepness(slopes(policy, obs[some], states[some], dt[some]), spread, reach_of(policy, outputs))
    return float(found.max()), float(np.median(found))


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
