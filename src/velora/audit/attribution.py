"""Which observations an answer comes from, along the synapses that there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from velora.watch.circuit import COMMAND, INTER, MEMORY, MOTOR, OUTPUT, SENSORY, Circuit

Floats = NDArray[np.float64]

_COLUMNS = (SENSORY, MEMORY, INTER, COMMAND, MOTOR)


def mean_currents(currents: Sequence[NDArray[np.float32]]) -> Floats:
    """Return the mean absolute current of every synapse over episodes, (synapses,).

    Shapes:
        currents: (T, synapses) an episode.
    """
    total: Floats = np.sum([np.abs(one).sum(0, dtype=np.float64) for one in currents], axis=0)
    return total / sum(map(len, currents))


def attribute(circuit: Circuit, strength: Floats) -> tuple[tuple[int, ...], Floats]:
    """Hand each answer back along synapses, in proportion to their mean absolute currents.

    An answer begins with 1. A neuron hands what it got to the sources of its synapses, each a share as large as its
    part of all current into the neuron. That goes on forward synapses only, from column to column of the circuit: what
    goes to a neuron's own column, or back, comes from an earlier step, and is counted as memory, and so is what stops
    at a neuron that nothing drives.

    Shapes:
        strength: (synapses,), >= 0.
        returns: the neurons that answer, and (answers, sensory neurons + 1), the last for memory; rows sum to 1.
    """
    layers = circuit.layers
    order = [name for name in _COLUMNS if name in layers] + [name for name in layers if name not in _COLUMNS]
    depth = {at: order.index(one.layer) for at, one in enumerate(circuit.neurons)}
    answers = tuple(layers.get(OUTPUT) or layers.get(MOTOR) or layers[order[-1]])
    into: dict[int, list[int]] = {}
    for number, synapse in enumerate(circuit.synapses):
        into.setdefault(synapse.target, []).append(number)
    backwards = sorted(depth, key=lambda at: -depth[at])
    n_sensory = len(layers[SENSORY])
    found = np.zeros((len(answers), n_sensory + 1))
    for row, answer in enumerate(answers):
        got = np.zeros(len(circuit.neurons))
        got[answer] = 1.0
        for at in backwards:
            if got[at] == 0.0 or circuit.neurons[at].layer == SENSORY:
                continue
            own = into.get(at, [])
            total = float(strength[own].sum()) if own else 0.0
            if total == 0.0:
                found[row, -1] += got[at]
                continue
            for number in own:
                source, share = circuit.synapses[number].source, got[at] * strength[number] / total
                if depth[source] < depth[at]:
                    got[source] += share
                else:
                    found[row, -1] += share
        found[row, :n_sensory] = got[list(layers[SENSORY])]
    return answers, found
