"""The kinds of layer that kernels compute, one row each.

From a row come the layer's number and sizes in C (``native/tables.h``, written by ``velora.kernels.generate``), where a
network's description finds its tensors, and the memory that a call takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

HEADS = ("heads.weight", "heads.bias")
"""The tensors of a layer whose linear heads read concat(input, state): (heads * n, n_in + n) and (heads * n)."""
SYNAPSES = (
    "gleak", "vleak", "cm", "sigma", "mu", "w", "erev", "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev",
    "input_w", "input_b",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerKind:
    """Row of the table.

    Attributes:
        formula: the new state h' of input x, old state h and elapsed time dt; a, b, ... are the heads.
        function: the C functions are ``<function>_forward`` and ``<function>_backward``; ``None`` where a layer is a
            case of its own in ``native/unroll.h``.
        heads: rows of the product that begins a step, in neurons; 0 where it begins otherwise.
        kept: rows that the native kernel keeps for the gradient, in neurons and sub-steps. The first of them become
            the gradients of the heads.
        tensors: names of the parameters in the layer's module, in the order that kernels know them by. Those after the
            heads' two are one number a neuron, and the rows kept after the heads' become their gradients.
        has_state: whether it reads its own old state.
        has_direct_path: whether a gradient reaches the old state past the heads.
        before: the C functions ``<before>_forward`` and ``<before>_backward`` change the old state before the heads
            read it, and take its gradient back; ``None`` where the heads read it as it is.
    """

    formula: str
    function: str | None
    heads: int
    kept: int
    tensors: tuple[str, ...] = HEADS
    has_state: bool = True
    has_direct_path: bool = False
    before: str | None = None

    @property
    def n_own(self) -> int:
        """Tensors after those of the heads."""
        return len(self.tensors) - len(HEADS) if self.heads else 0


class Kind(Enum):
    """Computation of a layer."""

    CFC = LayerKind("(1 - g) tanh(a) + g tanh(b), g = sigmoid(c dt + d)", "cfc", heads=4, kept=4)
    CFC_NO_GATE = LayerKind("tanh(a) + g tanh(b), g = sigmoid(c dt + d)", "cfc", heads=4, kept=4)
    CFC_PURE = LayerKind("A - A exp(-dt (|w_tau| + |a|)) a", "pure", heads=1, kept=3, tensors=(*HEADS, "w_tau", "A"))
    GRU = LayerKind(
        "(1 - z) tanh(c + r d) + z h, r = sigmoid(a), z = sigmoid(b)", "gru", heads=4, kept=4, has_direct_path=True
    )
    TANH = LayerKind("tanh(a)", "dense", heads=1, kept=1, has_state=False)
    RELU = LayerKind("max(a, 0)", "dense", heads=1, kept=1, tensors=("weight", "bias"), has_state=False)
    LSTM = LayerKind("the old state of all layers after it", None, heads=4, kept=6, tensors=("weight", "bias"))
    LTC = LayerKind("semi-implicit Euler steps of the circuit's equation", None, heads=0, kept=2, tensors=SYNAPSES)
    LEAKY = LayerKind(
        "(1 - k) tanh(c + r d) + k h, r = sigmoid(a), k = exp(-dt softplus(b))",
        "leaky",
        heads=4,
        kept=5,
        has_direct_path=True,
    )
    LEAKY_NO_RESET = LayerKind(
        "(1 - k) tanh(b) + k h, k = exp(-dt softplus(a))", "leaky", heads=2, kept=3, has_direct_path=True
    )
    LSTM_LAYER = LayerKind("o tanh(m'), memory m' = f m + i g", None, heads=4, kept=6)
    GRU_D = LayerKind(
        "a GRU of x and exp(-max(0, dt decay_weight + decay_bias)) h",
        "gru",
        heads=4,
        kept=6,
        tensors=(*HEADS, "decay_weight", "decay_bias"),
        has_direct_path=True,
        before="decay",
    )

    @property
    def number(self) -> int:
        """The number of the kind in C."""
        return list(Kind).index(self)

    @property
    def has_state(self) -> bool:
        """Whether such a layer reads its own old state."""
        return self.value.has_state


MOST_LAYERS = 9
"""Layers of the largest network that the native kernel computes."""
MOST_TENSORS = max(len(kind.value.tensors) for kind in Kind)
