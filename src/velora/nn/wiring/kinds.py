"""Wire a circuit by a short name: as a neural circuit policy, or otherwise, to tell what that wiring is worth."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from velora.core import allowance
from velora.core.errors import SettingError
from velora.nn.wiring.circuit import BoolArray, NCPWiring, auto_ncp

WIRING_KINDS = ("ncp", "random", "dense")
_PLACES_PER_WEIGHT = 16
"""Places in the matrices of a wiring that count as a weight, where its settings come from a file."""


def make_wiring(
    kind: str, inputs: int, units: int, outputs: int, *, sparsity: float = 0.5, seed: int = 22222
) -> NCPWiring:
    """Wire inter, command and motor neurons, as many of each as :func:`auto_ncp` makes of these numbers.

    Args:
        kind: ``"ncp"`` is :func:`auto_ncp`. ``"random"`` has as many synapses between any two of its layers, but
            anywhere: some neurons get many and some none. Only a way from some input to every motor neuron is sure.
            ``"dense"`` has all synapses that a neural circuit policy could have.
        inputs: number of sensory inputs, at least 1.
        units: number of all neurons, at least ``outputs + 3``.
        outputs: number of motor neurons, at least 1.
        sparsity: part of the possible synapses to leave out, in [0, 1]; without effect on ``"dense"``.
        seed: of the wiring, in [0, 2**32).

    Raises:
        SettingError: if the kind is unknown, a number is out of its domain, or the settings come from a file that holds
            too few weights for a wiring of this size.

    Example:
        >>> for kind in WIRING_KINDS:
        ...     print(make_wiring(kind, 3, 12, 2).describe())
        3 inputs -> 6 inter -> 4 command -> 2 motor, 30 synapses
        3 inputs -> 6 inter -> 4 command -> 2 motor, 30 synapses
        3 inputs -> 6 inter -> 4 command -> 2 motor, 66 synapses

    Source:
        The comparison is that of Lechner et al. 2020, "Neural circuit policies enabling auditable autonomy", with
        randomly wired and fully connected networks. Differs: both keep the layers, so that only the synapses differ.
    """
    if kind not in WIRING_KINDS:
        raise SettingError(f"wiring: expected one of {', '.join(WIRING_KINDS)}, got {kind!r}")
    allowance.take(max(inputs, (inputs + units) * units // _PLACES_PER_WEIGHT), "wiring")
    wiring = auto_ncp(inputs, units, outputs, sparsity=sparsity, seed=seed)
    if kind == "ncp":
        return wiring
    rng = np.random.RandomState(seed)
    inter, command, motor = wiring.layer_masks()
    at = wiring.layers()[1]
    recurrent = wiring.adjacency[at, at] != 0
    if kind == "dense":
        return _joined(wiring, rng, *(np.ones_like(mask) for mask in (inter, command, recurrent, motor)))
    # From the motor neurons to the inputs: whatever begins a way to a motor neuron has to have a source itself.
    motor, sources = _scattered(rng, motor, range(len(motor)))
    command, sources = _scattered(rng, command, sources)
    inter, _ = _scattered(rng, inter, sources)
    recurrent, _ = _scattered(rng, recurrent, ())
    return _joined(wiring, rng, inter, command, recurrent, motor)


def _scattered(
    rng: np.random.RandomState, mask: BoolArray, targets: Collection[int]
) -> tuple[BoolArray, Collection[int]]:
    """Place as many synapses as the mask (targets, sources) has anywhere, but one at each of these targets.

    Returns:
        The mask, and the sources of those targets.
    """
    scattered = np.zeros_like(mask)
    sources = rng.randint(mask.shape[1], size=len(targets))
    scattered[list(targets), sources] = True
    n_left = int(mask.sum() - scattered.sum())
    scattered.flat[rng.choice(np.flatnonzero(~scattered), size=n_left, replace=False)] = True
    return scattered, set(sources.tolist())


def _joined(
    like: NCPWiring,
    rng: np.random.RandomState,
    inter: BoolArray,
    command: BoolArray,
    recurrent: BoolArray,
    motor: BoolArray,
) -> NCPWiring:
    """Make a circuit of the same sizes from its masks (targets, sources); every synapse draws its sign."""
    inters, commands, motors = like.layers()
    adjacency, sensory = np.zeros_like(like.adjacency), np.zeros_like(like.sensory_adjacency)
    sensory[:, inters] = inter.T
    adjacency[inters, commands] = command.T
    adjacency[commands, commands] = recurrent.T
    adjacency[commands, motors] = motor.T
    for synapses in (adjacency, sensory):
        synapses *= rng.choice((-1, 1), size=synapses.shape).astype(synapses.dtype)
    return NCPWiring(like.inputs, like.inter, like.command, like.motor, adjacency, sensory)
