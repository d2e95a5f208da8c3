"""An ONNX graph that grows as a step is computed on it: the operations of ``velora.export.formulas`` as nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

_ELEMENTWISE: Final = {name.lower(): name for name in ("Abs", "Exp", "Log", "Relu", "Sigmoid", "Softplus", "Tanh")}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph, by its name."""

    graph: Graph
    name: str

    def __add__(self, other: Value) -> Value:
        return self.graph.node("Add", self, other)

    def __sub__(self, other: Value) -> Value:
        return self.graph.node("Sub", self, other)

    def __mul__(self, other: Value) -> Value:
        return self.graph.node("Mul", self, other)

    def __truediv__(self, other: Value) -> Value:
        return self.graph.node("Div", self, other)

    def __neg__(self) -> Value:
        return self.graph.node("Neg", self)


class Graph:
    """Nodes and initialisers, in the order in which they were asked for.

    Attributes:
        nodes: so far.
        initialisers: by name.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initialisers: dict[str, TensorProto] = {}
        self._scope, self._taken = "", set[str]()

    def node(self, op: str, *inputs: Value, **attributes: Any) -> Value:
        """Append a node with one output."""
        return self._append(op, [one.name for one in inputs], 1, attributes)[0]

    def parameter(self, name: str, numbers: NDArray[Any]) -> Value:
        """Add numbers; the same name in the same context stands for the same ones."""
        return self._constant(self._scope + name, np.ascontiguousarray(numbers, np.float32))

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """See :class:`velora.export.operations.Operations`."""
        before, self._scope = self._scope, f"{self._scope}{name}."
        yield
        self._scope = before

    def called(self, name: str, value: Value) -> Value:
        """Rename what a node computed, which nothing has read yet."""
        self._rename(value.name, new := self._scope + name)
        return Value(self, new)

    def give_out(self, value: Value, name: str) -> None:
        """Let a value be an output of the graph."""
        self._rename(value.name, name)

    def elementwise(self, function: str, value: Value) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node(_ELEMENTWISE[function], value)

    def mix(self, first: Value, second: Value, share: Value) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return first + share * (second - first)

    def linear(self, x: Value, weight: Value, bias: Value) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node("Gemm", x, weight, bias, transB=1)

    def split(self, x: Value, sizes: Sequence[int]) -> Sequence[Value]:
        """See :class:`velora.export.operations.Operations`."""
        inputs = [x.name]
        if len(set(sizes)) > 1:
            inputs.append(self._whole_numbers(sizes).name)
        return self._append("Split", inputs, len(sizes), {"axis": 1})

    def join(self, parts: Sequence[Value]) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def with_axis(self, x: Value) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node("Unsqueeze", x, self._whole_numbers([-1]))

    def sum_rows(self, x: Value) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node("ReduceSum", x, self._whole_numbers([1]), keepdims=0)

    def clip(self, x: Value, low: NDArray[np.float32], high: NDArray[np.float32]) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        return self.node("Min", self.node("Max", x, self.parameter("low", low)), self.parameter("high", high))

    def largest(self, x: Value, first: int) -> Value:
        """See :class:`velora.export.operations.Operations`."""
        number = self.node("ArgMax", x, axis=1, keepdims=0)
        return number + self._whole_numbers([first]) if first else number

    def _whole_numbers(self, numbers: Sequence[int]) -> Value:
        return self._constant(f"int64_{'_'.join(map(str, numbers))}", np.array(numbers, np.int64))

    def _constant(self, name: str, numbers: NDArray[Any]) -> Value:
        made = numpy_helper.from_array(numbers, name)
        assert self.initialisers.setdefault(name, made) == made, f"two parameters of the name {name}"
        return Value(self, name)

    def _append(self, op: str, inputs: Sequence[str], n: int, attributes: dict[str, Any]) -> list[Value]:
        outputs = [self._free(f"{self._scope}{op.lower()}") for _ in range(n)]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return [Value(self, name) for name in outputs]

    def _free(self, name: str) -> str:
        """Return a name that nothing has: the one asked for, or that with a number."""
        number, found = 1, name
        while found in self._taken:
            number, found = number + 1, f"{name}{number + 1}"
        self._taken.add(found)
        return found

    def _rename(self, old: str, new: str) -> None:
        for node in self.nodes:
            for names in (node.input, node.output):
                for at, name in enumerate(names):
                    if name == old:
                        names[at] = new
