"""The current of every synapse: how much its source pushes its target up, or down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from velora.watch.circuit import MEMORY, Circuit

Floats = NDArray[np.float32]


def currents(circuit: Circuit, network_input: Floats, activity: Floats, gate: Floats) -> Floats:
    """Return the current of every synapse at every step, (T, synapses), as :class:`velora.watch.circuit.Synapse` says.

    A neuron acts on its own layer, and on layers before it, from the step before; forward within the step.

    Shapes:
        network_input: (T, sensory neurons). activity, gate: (T, N).
    """
    synapses = circuit.synapses
    source, target = (np.array([getattr(one, end) for one in synapses], np.intp) for end in ("source", "target"))
    a, b = (np.array([getattr(one, name) for one in synapses], np.float64) for name in ("a", "b"))
    n_steps, n_inputs = network_input.shape
    n_outputs = len(circuit.neurons) - n_inputs - activity.shape[1]
    now = np.concatenate((network_input, activity, np.zeros((n_steps, n_outputs))), 1, dtype=np.float64)
    before = np.concatenate((np.zeros_like(now[:1]), now[:-1]))
    is_late = np.array([_is_late(circuit, *ends) for ends in zip(source.tolist(), target.tolist(), strict=True)], bool)
    x = np.where(is_late, before[:, source], now[:, source])
    open_ = np.full_like(now, np.nan)
    open_[:, n_inputs : n_inputs + gate.shape[1]] = gate
    remembers = np.array([one.layer == MEMORY for one in circuit.neurons], bool)
    share = np.where(remembers[target], 0.0, np.nan_to_num(open_[:, target]))  # what a memory keeps mixes no weights
    found = ((1.0 - share if circuit.mixes else 1.0) * a + share * b) * x
    own = [at for at, one in enumerate(synapses) if one.circuit is not None]
    if own:
        sigma, mu, strength, erev = np.array([synapses[at].circuit for at in own], np.float64).T
        opening = 0.5 + 0.5 * np.tanh(0.5 * sigma * (x[:, own] - mu))
        found[:, own] = strength * opening * (erev - now[:, target[own]])
    return found.astype(np.float32)


def _is_late(circuit: Circuit, source: int, target: int) -> bool:
    """Return whether a synapse carries what its source did a step before."""
    return target < source or circuit.neurons[source].layer == circuit.neurons[target].layer
