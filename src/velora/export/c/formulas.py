"""The formula of every kind of layer, once: given terms it becomes C text, given float32 arrays it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from velora.export.policy import Layer
from velora.kernels.layers import Kind

Heads = tuple[Any, ...]
"""The sums of a neuron, each a term or an array (n,)."""


def cfc(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    a, b, c, d = heads
    return f.blend(a, b, c * dt + d)


def cfc_no_gate(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    a, b, c, d = heads
    return f.blend_no_gate(a, b, c * dt + d)


def cfc_pure(f: Any, heads: Heads, own: Any, dt: Any, rate: Any, amplitude: Any) -> Any:
    (a,) = heads
    return amplitude * (1.0 - f.decay(dt * (rate + f.magnitude(a))) * a)


def gru(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    c, a, b, d = heads
    kept = f.let("kept", f.sigmoid(b))
    return (1.0 - kept) * f.tanh_of(c + f.sigmoid(a) * d) + kept * own


def leaky(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    c, a, b, d = heads
    kept = f.let("kept", f.decay(dt * f.softplus(b)))
    return (1.0 - kept) * f.tanh_of(c + f.sigmoid(a) * d) + kept * own


def leaky_no_reset(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    a, b = heads
    kept = f.let("kept", f.decay(dt * f.softplus(a)))
    return (1.0 - kept) * f.tanh_of(b) + kept * own


def dense(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    return f.tanh_of(heads[0])


def rectified(f: Any, heads: Heads, own: Any, dt: Any) -> Any:
    return f.above_zero(heads[0])


def memorise(f: Any, heads: Heads, memory: Any, dt: Any) -> Any:
    """Return the new memory of an LSTM; what it reveals is :func:`reveal` of that."""
    candidate, accept, keep, _ = heads
    return f.sigmoid(keep) * memory + f.sigmoid(accept) * f.tanh_of(candidate)


def reveal(f: Any, heads: Heads, memory: Any) -> Any:
    return f.sigmoid(heads[3]) * f.tanh_of(memory)


def faded(f: Any, own: Any, dt: Any, weight: Any, bias: Any) -> Any:
    """Return the old state of a GRU-D, before its heads read it."""
    return own * f.decay(f.above_zero(dt * weight + bias))


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of layer is computed.

    Attributes:
        name: of the C function.
        formula: the new state of a neuron, or the new memory of one that ``has_memory``.
        order: the heads by their number in the module, as the formula takes them.
        reads_input, reads_own: the first and the one after the last of them, in that order, that read the layer's
            input, and its own state; ``None`` for all.
        own: names of numbers that each neuron has besides, and how they follow from the module's.
        has_memory: whether the formula's state is a memory, which :func:`reveal` shows.
        fades: whether the old state fades before the heads read it.
        reads_dt: whether the formula reads the elapsed time.
    """

    name: str
    formula: Callable[..., Any]
    order: tuple[int, ...]
    reads_input: tuple[int, int] | None = None
    reads_own: tuple[int, int] | None = None
    own: tuple[str, ...] = ()
    has_memory: bool = False
    fades: bool = False
    reads_dt: bool = False

    @property
    def n_heads(self) -> int:
        return len(self.order)


_GRU_ORDER, _GRU_INPUT, _GRU_OWN = (2, 0, 1, 3), (0, 3), (1, 4)

FORMS: Mapping[Kind, Form] = {
    Kind.CFC: Form("cfc", cfc, (0, 1, 2, 3), reads_dt=True),
    Kind.CFC_NO_GATE: Form("cfc_no_gate", cfc_no_gate, (0, 1, 2, 3), reads_dt=True),
    Kind.CFC_PURE: Form("cfc_pure", cfc_pure, (0,), own=("rate", "amplitude"), reads_dt=True),
    Kind.GRU: Form("gru", gru, _GRU_ORDER, _GRU_INPUT, _GRU_OWN),
    Kind.GRU_D: Form("gru_d", gru, _GRU_ORDER, _GRU_INPUT, _GRU_OWN, fades=True),
    Kind.LEAKY: Form("leaky", leaky, _GRU_ORDER, _GRU_INPUT, _GRU_OWN, reads_dt=True),
    Kind.LEAKY_NO_RESET: Form("leaky_no_reset", leaky_no_reset, (0, 1), reads_dt=True),
    Kind.TANH: Form("dense", dense, (0,), reads_own=(0, 0)),
    Kind.RELU: Form("rectified", rectified, (0,), reads_own=(0, 0)),
    Kind.LSTM: Form("lstm", memorise, (0, 1, 2, 3), has_memory=True),
    Kind.LSTM_LAYER: Form("lstm", memorise, (0, 1, 2, 3), has_memory=True),
}
"""Every kind but the LTC, whose steps are no formula of heads."""


def own_numbers(layer: Layer) -> dict[str, Any]:
    """Return the numbers that each neuron of a layer has besides its heads, (n,) each."""
    if layer.kind is Kind.CFC_PURE:
        return {"rate": abs(layer.tensors["w_tau"]), "amplitude": layer.tensors["A"]}
    return {}
