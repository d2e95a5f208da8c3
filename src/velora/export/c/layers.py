"""Layers of linear heads: their numbers in the order in which C walks through them, and the C function of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from velora.export.c.formulas import FORMS, Form, faded, own_numbers, reveal
from velora.export.c.templates import fill, text
from velora.export.c.terms import Term, Writer
from velora.export.policy import Floats, Layer

LETTERS = "abcd"
"""Names of the sums in C."""
FULL, LISTED, MAYBE_NONE = "full.c", "listed.c", "maybe_none.c"
"""The loops over what a neuron reads, by their files."""
PARAMETERS = {
    "weight": "const float *weight",
    "from": "const source *from",
    "input": "const float *input",
    "n_inputs": "int n_inputs",
    "own": "float *own",
    "memory": "float *memory",
    "n": "int n",
    "dt": "float dt",
}


@dataclass(frozen=True, slots=True)
class Heads:
    """The linear heads of one layer, in the order of its form.

    Attributes:
        bias: (heads, n). input: (heads, n, n_in). state: (heads, n, n).
        reads_input, reads_state: (n, n_in) and (n, n), whether a synapse is there, for any head.
        into_input, into_state: which heads those synapses go to.
    """

    layer: Layer
    form: Form
    bias: Floats
    input: Floats
    state: Floats
    reads_input: NDArray[np.bool_]
    reads_state: NDArray[np.bool_]
    into_input: slice
    into_state: slice


def heads_of(layer: Layer) -> Heads:
    """Take a layer's tensors apart."""
    form = FORMS[layer.kind]
    weight, bias = (layer.tensors[name] for name in layer.kind.value.tensors[:2])
    weight = weight.reshape(-1, layer.n, weight.shape[1])[list(form.order)]
    of_input, of_state = weight[:, :, : layer.n_in], weight[:, :, layer.n_in :]
    if not layer.kind.has_state:
        of_state = np.zeros((form.n_heads, layer.n, 0), np.float32)
    return Heads(
        layer,
        form,
        bias.reshape(-1, layer.n)[list(form.order)],
        of_input,
        of_state,
        (of_input != 0).any(0),
        (of_state != 0).any(0),
        _into(of_input, form.reads_input),
        _into(of_state, form.reads_own),
    )


def _into(weight: Floats, usual: tuple[int, int] | None) -> slice:
    """Return which heads a block of weights goes to: all, should one that usually has none have some."""
    others = np.ones(len(weight), bool)
    if usual is not None:
        others[slice(*usual)] = False
        if not (weight[others] != 0).any():
            return slice(*usual)
    return slice(0, len(weight))


@dataclass(frozen=True, slots=True)
class Shape:
    """What the C function of a form counts on in all layers of that form.

    Attributes:
        lists_input, lists_state: which loop walks through the synapses: that of a full block (``FULL``), of listed ones
            (``LISTED``), or of listed ones where a neuron may have none (``MAYBE_NONE``).
        into_input, into_state: which heads they go to.
        most: neurons of the largest layer.
    """

    form: Form
    lists_input: str
    lists_state: str
    into_input: slice
    into_state: slice
    most: int

    @property
    def has_lists(self) -> bool:
        """Return whether there are lists of sources."""
        return self.lists_input != FULL or (self.lists_state != FULL and self.form.reads_own != (0, 0))

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """Choose what the C function takes, in order, out of the values by name."""
        form = self.form
        takes = {
            "weight": True,
            "from": self.has_lists,
            "input": True,
            "n_inputs": self.lists_input == FULL,
            "own": True,
            "memory": form.has_memory,
            "n": True,
            "dt": form.fades or form.reads_dt,
        }
        return [values[name] for name, taken in takes.items() if taken]


def shape_of(layers: Iterable[Heads]) -> Shape:
    """Return the shape that serves all layers of one form."""
    every = list(layers)
    into_input, into_state = (
        max((getattr(heads, name) for heads in every), key=lambda part: part.stop - part.start)
        for name in ("into_input", "into_state")
    )
    return Shape(
        every[0].form,
        _loop_for([heads.reads_input for heads in every]),
        _loop_for([heads.reads_state for heads in every]),
        into_input,
        into_state,
        max(heads.layer.n for heads in every),
    )


def _loop_for(blocks: list[NDArray[np.bool_]]) -> str:
    if all(block.all() for block in blocks):
        return FULL
    return LISTED if all(block.any(1).all() for block in blocks) else MAYBE_NONE


def pack(heads: Heads, shape: Shape) -> tuple[list[float], list[int]]:
    """Return a layer's numbers and lists of sources, in the order in which its C function reads them."""
    numbers: list[float] = []
    sources: list[int] = []
    layer = heads.layer
    if heads.form.fades:
        numbers += np.stack((layer.tensors["decay_weight"], layer.tensors["decay_bias"]), 1).ravel().tolist()
    own = own_numbers(layer)
    for neuron in range(layer.n):
        numbers += heads.bias[:, neuron].tolist()
        for weight, reads, into, listed in (
            (heads.input, heads.reads_input, shape.into_input, shape.lists_input),
            (heads.state, heads.reads_state, shape.into_state, shape.lists_state),
        ):
            there = np.flatnonzero(reads[neuron])
            sources += [len(there), *there.tolist()] if listed != FULL else []
            numbers += weight[into, neuron][:, there].T.ravel().tolist()
        numbers += [float(values[neuron]) for values in own.values()]
    return numbers, sources


def c_function(shape: Shape) -> tuple[str, set[str]]:
    """Return the C function of a shape, and the names of the functions that it calls."""
    form, f = shape.form, Writer()
    names = [Term(letter) for letter in LETTERS[: form.n_heads]]
    own = Term("memory[i]" if form.has_memory else "own[i]")
    result = form.formula(f, tuple(names), own, Term("dt"), *map(Term, form.own))
    lines = [f"const float {name} = NUMBER(weight + {k});" for k, name in enumerate(form.own)]
    lines += [f"weight += {len(form.own)};"] * bool(form.own) + f.lines
    if form.has_memory:
        lines += [f"memory[i] = {result};", f"next[i] = {reveal(f, tuple(names), Term('memory[i]'))};"]
    else:
        lines += [f"next[i] = {result};"]
    values = {
        "NAME": form.name,
        "PARAMETERS": ", ".join(shape.arguments(PARAMETERS)),
        "FADE": _fade(f) if form.fades else "",
        "MOST": str(shape.most),
        "SUMS": ", ".join(f"{name} = NUMBER(weight + {k})" for k, name in enumerate(names)),
        "LAST": "        const source *last;\n" if shape.has_lists else "",
        "HEADS": str(form.n_heads),
        "INPUTS": _loop("input", "n_inputs", names[shape.into_input], shape.lists_input),
        "STATE": _loop("own", "n", names[shape.into_state], shape.lists_state),
        "FORMULA": "\n".join("        " + line for line in lines),
    }
    return fill(text("layer.c"), values), f.used


def _loop(read: str, count: str, names: list[Term], loop: str) -> str:
    """Return the loop that adds what a neuron reads to its sums."""
    if not names:
        return ""
    adds = "\n".join(f"            {name} += NUMBER(weight + {k}) * *x;" for k, name in enumerate(names))
    values = {"READ": read, "COUNT": count, "ADDS": adds, "N": str(len(names))}
    return fill(text(loop), values)


def _fade(f: Writer) -> str:
    result = faded(f, Term("own[i]"), Term("dt"), Term("NUMBER(weight)"), Term("NUMBER(weight + 1)"))
    return f"    for (int i = 0; i < n; i++) {{\n        own[i] = {result};\n        weight += 2;\n    }}\n"
