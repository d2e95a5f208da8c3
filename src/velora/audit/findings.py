"""Findings of an audit."""

from __future__ import annotations

from dataclasses import dataclass, field

from velora.audit.batch import Floats
from velora.audit.bounds import Looseness
from velora.export.policy import Policy
from velora.watch.trace import Trace


@dataclass(frozen=True, slots=True)
class Effect:
    """Effect of a treatment on the return, over the same episodes without and with it.

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
    """Measurements of an audit.

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
        bound_from_dt: the shortest step, in control steps, that the bound holds for: the shortest in the episodes, of a
            CfC of mode ``pure`` that is told the time; ``None`` where it holds for all.
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
    bound_from_dt: float | None
    bounds: tuple[Bounded, ...]
    traces: tuple[Trace, ...] = field(repr=False)
    seconds: float = 0.0

    @property
    def neurons(self) -> tuple[str, ...]:
        """Names of the neurons, in the order of a trace's activities."""
        first = self.policy.n_inputs
        return tuple(one.name for one in self.traces[0].circuit.neurons[first : first + len(self.removals)])
