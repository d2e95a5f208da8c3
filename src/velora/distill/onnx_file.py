"""An ONNX file as a function of arrays, computed by onnxruntime, or by the reference of the onnx package."""

from __future__ import annotations

import importlib
import importlib.util
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from velora.core.errors import TeacherError
from velora.core.types import Array

INSTALL = "pip install onnxruntime"
_TYPES = {"float": np.float32, "double": np.float64, "float16": np.float16}
"""Types of an input that observations are converted to, by the names of onnxruntime."""

_UNKNOWN = ("is not a registered function/op", "No Op registered for", "No implementation", "No opset import")
"""What the two libraries say of operators that they don't know."""
_NEWER = re.compile(r"(Opset \d+) is under development|Unsupported model (IR version: \d+)")
"""What onnxruntime says of files from the future."""


@dataclass(frozen=True, slots=True)
class Port:
    """Input or output of a file.

    Attributes:
        shape: sizes; ``None`` where any is taken.
        kind: type of the numbers, such as ``"float"``.
    """

    name: str
    shape: tuple[int | None, ...]
    kind: str

    @property
    def dtype(self) -> Any:
        """The type of the numbers for NumPy; ``None`` if observations can't be converted to it."""
        return _TYPES.get(self.kind)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, with 1 where any size is taken."""
        return tuple(1 if size is None else size for size in self.shape)

    @property
    def size(self) -> int:
        """How many numbers that are."""
        return math.prod(self.sizes)

    def __str__(self) -> str:
        """Write it with its shape."""
        return f"{self.name} ({', '.join('any' if size is None else str(size) for size in self.shape)})"


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A file that was loaded.

    Attributes:
        inputs: those that have to be given.
        outputs: all.
        run: takes arrays by input, and names of outputs; returns these.
    """

    inputs: Sequence[Port]
    outputs: Sequence[Port]
    run: Callable[[Sequence[str], Mapping[str, Array]], Sequence[Any]]


def load(content: bytes, name: str) -> OnnxFile:
    """Load the bytes of an ONNX file; nothing in it is run but its arithmetic, and no other file is read.

    Args:
        name: for errors.

    Raises:
        TeacherError: if it is no ONNX file, has operators that are unknown here, or nothing is installed that computes.
    """
    if importlib.util.find_spec("onnxruntime") is not None:
        return _in_runtime(content, name)
    if importlib.util.find_spec("onnx") is not None:
        return _in_reference(content, name)
    raise TeacherError(f"teacher: {name}: computing an ONNX file needs onnxruntime; {INSTALL}")


def _in_runtime(content: bytes, name: str) -> OnnxFile:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # small networks, and the same bits everywhere
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _unreadable(name, error) from error
    inputs, outputs = (
        [Port(one.name, _sizes(one.shape), one.type.removeprefix("tensor(").removesuffix(")")) for one in ports]
        for ports in (session.get_inputs(), session.get_outputs())
    )
    return OnnxFile(inputs, outputs, lambda names, given: session.run(list(names), dict(given)))


def _in_reference(content: bytes, name: str) -> OnnxFile:
    onnx: Any = importlib.import_module("onnx")
    reference: Any = importlib.import_module("onnx.reference")
    try:
        model = onnx.load_model_from_string(content)
        evaluator = reference.ReferenceEvaluator(model)
    except Exception as error:
        raise _unreadable(name, error) from error
    known = {one.name for one in model.graph.initializer}
    inputs, outputs = (
        [_port(onnx, one) for one in ports if one.name not in known]
        for ports in (model.graph.input, model.graph.output)
    )

    def run(names: Sequence[str], given: Mapping[str, Array]) -> Sequence[Any]:
        with np.errstate(all="ignore"):
            made: Sequence[Any] = evaluator.run(list(names), dict(given))
        return made

    return OnnxFile(inputs, outputs, run)


def _port(onnx: Any, one: Any) -> Port:
    tensor = one.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    return Port(one.name, tuple(dim.dim_value or None for dim in tensor.shape.dim), kind)


def _sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)


def _unreadable(name: str, error: Exception) -> TeacherError:
    text = " ".join(str(error).split())
    if newer := _NEWER.search(text):
        return TeacherError(
            f"teacher: {name}: is of {newer[1] or newer[2]}, which is newer than the onnxruntime that is installed; "
            "export the policy again with opset 17 or so, or update onnxruntime"
        )
    if any(words in text for words in _UNKNOWN):
        return TeacherError(
            f"teacher: {name}: has an operator that is unknown here ({text[:200]}); export the policy again with "
            "ONNX's own operators alone, opset 17 or so"
        )
    return TeacherError(f"teacher: {name}: expected an ONNX file, which can't be loaded ({text[:200]})")
