"""The target ``onnx``: a model of operator set 17 that onnxruntime, and most of what reads ONNX, runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Final

from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper

from velora.export.formulas import step
from velora.export.onnx.graph import Graph, Value
from velora.export.placing import MARK
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Policy
from velora.export.ports import ACTION, DT, NEXT_STATE, OBSERVATION, STATE, Port, inputs, outputs
from velora.export.targets import Options

OPERATORS: Final = 17
FORMAT: Final = 8
"""Of the file (``ir_version``): the one that came with operator set 17."""


def write_onnx(policy: Policy, out: Path, options: Options) -> None:
    """Write a policy as an ONNX model, the same bytes for the same policy."""
    out.write_bytes(build(policy).SerializeToString(deterministic=True))


def build(policy: Policy) -> ModelProto:
    """Build the model of a policy, and check it.

    Shapes:
        observation: (batch, n_observations). state, next_state: (batch, n_state). dt: (batch,).
        action: (batch, n_actions) of float32; of discrete actions (batch,) of int64.
    """
    graph = Graph()
    action, new = step(graph, policy, *(Value(graph, name) for name in (OBSERVATION, STATE, DT)))
    graph.give_out(action, ACTION)
    graph.give_out(new, NEXT_STATE)
    ins, outs = ([_tensor(port) for port in ports(policy)] for ports in (inputs, outputs))
    made = helper.make_graph(graph.nodes, "policy", ins, outs, list(graph.initialisers.values()))
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPERATORS)],
        ir_version=FORMAT,
        producer_name="velora",
        producer_version=policy.origin.velora_version,
        doc_string="A policy of one step: action, next_state = policy(observation, state, dt); it begins with a state "
        "of zeros.",
    )
    helper.set_model_props(model, metadata(policy))
    checker.check_model(model, full_check=True)
    return model


def metadata(policy: Policy) -> dict[str, str]:
    """Return the model's metadata: where the policy comes from, and its units."""
    origin, units = policy.origin, policy.units
    around = {"wrappers": origin.wrappers, "missing": origin.missing}
    return {
        MARK: "1",
        "velora.version": origin.velora_version,
        "agent": origin.agent,
        "cell": origin.cell,
        "environment": origin.environment,
        **{f"environment.{name}": json.dumps(said) for name, said in around.items() if said},
        "checkpoint.sha256": origin.digest,
        "dt.unit": "control steps of the environment",
        "dt.range": json.dumps([SHORTEST_STEP, LONGEST_STEP]),
        "dt.read": json.dumps(policy.reads_dt),
        "action.unit": "the environment's",
        **{f"action.{name}": json.dumps(value) for name, value in dataclasses.asdict(units).items()},
    }


def _tensor(port: Port) -> ValueInfoProto:
    shape: list[str | int] = ["batch"] if port.size is None else ["batch", port.size]
    kind = TensorProto.INT64 if port.is_whole else TensorProto.FLOAT
    return helper.make_tensor_value_info(port.name, kind, shape, doc_string=port.meaning)
