"""Small ONNX files, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

INSTALL = "pip install onnx onnxruntime"


def write(
    path: Path,
    weights: Any,
    *,
    batch: Any = "batch",
    outputs: Sequence[str] = ("action",),
    last: str = "Tanh",
    domain: str = "",
    more_inputs: Sequence[str] = (),
    opset: int = 17,
    ir: int = 8,
) -> Path:
    """Write ``last(obs @ weights.T)`` as every output; weights are (A, O)."""
    onnx = pytest.importorskip("onnx", reason=INSTALL)
    matrix = np.asarray(weights, np.float32)
    make, single = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [make.make_node("Gemm", ["obs", "weights"], ["z"], transB=1)]
    nodes += [make.make_node(last, ["z"], [name], domain=domain) for name in outputs]
    shown = [make.make_tensor_value_info("obs", single, [batch, matrix.shape[1]])]
    shown += [make.make_tensor_value_info(name, single, [1]) for name in more_inputs]
    answered = [make.make_tensor_value_info(name, single, [batch, matrix.shape[0]]) for name in outputs]
    graph = make.make_graph(nodes, "policy", shown, answered, [onnx.numpy_helper.from_array(matrix, "weights")])
    opsets = [make.make_opsetid("", opset), *([make.make_opsetid(domain, 1)] if domain else [])]
    path.write_bytes(make.make_model(graph, opset_imports=opsets, ir_version=ir).SerializeToString())
    return path


def write_adding(path: Path, *, before: str = "hidden", after: str = "next_hidden") -> Path:
    """Write a policy with a memory: ``after = before + dt * obs``, and the action is its first number."""
    onnx = pytest.importorskip("onnx", reason=INSTALL)
    make, single = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Mul", ["obs", "dt"], ["grown"]),
        make.make_node("Add", [before, "grown"], [after]),
        make.make_node("Slice", [after, "zero", "one", "one"], ["action"]),
    ]
    numbers = {"zero": [0], "one": [1]}
    constants = [onnx.numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()]
    sizes = {"obs": ["batch", 3], before: ["batch", 3], "dt": ["batch", 1], after: ["batch", 3], "action": ["batch", 1]}
    ports = {name: make.make_tensor_value_info(name, single, size) for name, size in sizes.items()}
    graph = make.make_graph(
        nodes, "adding", [ports[n] for n in ("obs", before, "dt")], [ports[n] for n in ("action", after)], constants
    )
    path.write_bytes(
        make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path
