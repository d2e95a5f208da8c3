"""The liquid time-constant cell: a circuit of leaky neurons and saturating synapses, solved in small steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from velora.core.errors import SettingError
from velora.nn.cells.base import Cell, Weights
from velora.nn.parameters import Masked, full, stack_seeds, uniform
from velora.nn.wiring import IntArray, NCPWiring

EPSILON = 1e-8
"""Least capacity, so that a sub-step never divides by zero."""


@final
class LTCCell(Cell, Masked):
    """Integrate the circuit's equation over dt with ``ode_unfolds`` semi-implicit Euler steps.

    For neuron i with potential v_i, leak g_i towards l_i, capacity c_i, and synapses j -> i that open by
    ``a_ji = w_ji * sigmoid(sigma_ji * (v_j - mu_ji))`` and pull towards ``erev_ji``, a sub-step of length
    d = dt / ode_unfolds is::

        v_i <- (c_i v_i + d * (g_i l_i + sum_j a_ji erev_ji)) / (c_i + d * (g_i + sum_j a_ji))

    where the sums run over neurons and inputs. w, c and g are kept positive by softplus. A sub-step averages v, l and
    erev with positive weights, so a state never leaves their range. The state is all neurons, motor neurons
    first; the readout is an affine map of the motor neurons and is not bounded by 1.

    Args:
        wirings: one per seed, of equal sizes.
        generators: one per seed.
        ode_unfolds: sub-steps per step, at least 1.

    Raises:
        SettingError: if ``ode_unfolds`` is below 1, the wirings differ in size, or there isn't one for each generator.

    Source:
        Hasani et al. 2021, "Liquid time-constant networks", Algorithm 1; ``LTC`` of ncps 1.0.1 (implicit constraints,
        trainable polarity). Differs: dt is one number per sample; dt = 0 leaves the state as it is, where ncps divides
        by it; sigma, mu and w of missing synapses start at 0, as nothing reads them.
    """

    sparsity: Tensor
    sensory_sparsity: Tensor

    is_circuit = True

    def __init__(
        self, wirings: Sequence[NCPWiring], generators: Sequence[torch.Generator], *, ode_unfolds: int = 6
    ) -> None:
        check_wirings(wirings, len(generators))
        if ode_unfolds < 1:
            raise SettingError(f"ode_unfolds: expected at least 1, got {ode_unfolds}")
        first = wirings[0]
        super().__init__(first.inputs, first.units, first.motor, n_seeds=len(generators))
        self.unfolds = ode_unfolds
        adjacency = _stack([wiring.adjacency for wiring in wirings])
        sensory = _stack([wiring.sensory_adjacency for wiring in wirings])
        self.register_buffer("sparsity", adjacency != 0)
        self.register_buffer("sensory_sparsity", sensory != 0)

        def drawn(shape: tuple[int, ...], low: float, high: float) -> nn.Parameter:
            return stack_seeds(generators, lambda g: uniform(shape, low, high, g))

        neurons, synapses, senses = (first.units,), (first.units, first.units), (first.inputs, first.units)
        self.gleak = drawn(neurons, 0.001, 1.0)
        self.vleak = drawn(neurons, -0.2, 0.2)
        self.cm = drawn(neurons, 0.4, 0.6)
        self.sigma = drawn(synapses, 3.0, 8.0)
        self.mu = drawn(synapses, 0.3, 0.8)
        self.w = drawn(synapses, 0.001, 1.0)
        self.erev = nn.Parameter(adjacency)
        self.sensory_sigma = drawn(senses, 3.0, 8.0)
        self.sensory_mu = drawn(senses, 0.3, 0.8)
        self.sensory_w = drawn(senses, 0.001, 1.0)
        self.sensory_erev = nn.Parameter(sensory)
        self.input_w = full(len(generators), first.inputs, value=1.0)
        self.input_b = full(len(generators), first.inputs, value=0.0)
        self.output_w = full(len(generators), first.motor, value=1.0)
        self.output_b = full(len(generators), first.motor, value=0.0)
        with torch.no_grad():
            for name, mask in self.masked_parameters().items():
                self.get_parameter(name).mul_(mask)

    def masked_parameters(self) -> dict[str, Tensor]:
        """Map the name of each masked parameter to its mask."""
        names = ("sigma", "mu", "w", "erev")
        inner = dict.fromkeys(names, self.sparsity)
        return inner | {f"sensory_{name}": self.sensory_sparsity for name in names}

    def weights(self) -> Weights:
        """Form the positive, masked strengths once, and fold the input map into the sensory synapses."""
        strength = softplus(self.w) * self.sparsity
        sensory_strength = softplus(self.sensory_w) * self.sensory_sparsity
        slope = self.sensory_sigma * self.input_w.unsqueeze(2)
        offset = self.sensory_sigma * (self.input_b.unsqueeze(2) - self.sensory_mu)
        leak = softplus(self.gleak)
        return (
            _synapses(slope, offset, sensory_strength, self.sensory_erev),
            _synapses(self.sigma, -self.sigma * self.mu, strength, self.erev),
            (softplus(self.cm) + EPSILON).unsqueeze(1),
            torch.stack((leak * self.vleak, leak)).unsqueeze(2),
        )

    def step(self, weights: Weights, x: Tensor, h: Tensor, dt: Tensor) -> Tensor:
        """Integrate over dt with the input held."""
        sensory, synapses, capacity, leak = weights
        elapsed = (dt / self.unfolds).unsqueeze(2)
        # The leak and the inputs do not change during the sub-steps.
        constant = elapsed * (leak + _currents(sensory, x))
        for _ in range(self.unfolds):
            pull, conductance = torch.addcmul(constant, elapsed, _currents(synapses, h)).unbind(0)
            h = torch.addcmul(pull, capacity, h) / (capacity + conductance)
        return h

    def readout(self, h: Tensor) -> Tensor:
        """Map the motor neurons, the first of the state, to the output.

        Shapes:
            h: (S, ..., state_size). Returns (S, ..., output_size).
        """
        shape = (self.n_seeds, *[1] * (h.dim() - 2), self.output_size)
        return torch.addcmul(self.output_b.view(shape), h[..., : self.output_size], self.output_w.view(shape))


def check_wirings(wirings: Sequence[NCPWiring], n_seeds: int) -> None:
    """Refuse wirings that can't be trained side by side.

    Raises:
        SettingError: if there isn't one per seed, or they differ in size.
    """
    if not wirings or len(wirings) != n_seeds:
        raise SettingError(f"wirings: expected one per generator ({n_seeds}, at least 1), got {len(wirings)}")
    sizes = {(wiring.inputs, wiring.inter, wiring.command, wiring.motor) for wiring in wirings}
    if len(sizes) > 1:
        raise SettingError(f"wirings: expected equal sizes for all seeds, got (inputs, inter, command, motor) {sizes}")


def _synapses(slope: Tensor, offset: Tensor, strength: Tensor, erev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prepare (S, 1, from, to) slopes and offsets, and (2, S, 1, from, to) pull and conductance at full opening."""
    return slope.unsqueeze(1), offset.unsqueeze(1), torch.stack((strength * erev, strength)).unsqueeze(2)


def _currents(synapses: tuple[Tensor, Tensor, Tensor], v: Tensor) -> Tensor:
    """Sum over sources v (S, B, from) the pull and the conductance of every target: (2, S, B, to)."""
    slope, offset, full = synapses
    opening = torch.sigmoid(torch.addcmul(offset, slope, v.unsqueeze(3)))
    return (opening * full).sum(3)


def _stack(adjacencies: Sequence[IntArray]) -> Tensor:
    return torch.from_numpy(np.stack(adjacencies)).to(torch.float32)
