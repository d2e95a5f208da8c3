"""The target ``onnx``: a model of operator set 17 that onnxruntime, and most of what reads ONNX, runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper

from velora.envs.actions import DiscreteActions
from velora.export.formulas import step
from velora.export.onnx.graph import Graph, Value
from velora.export.placing import MARK
from velora.export.policy import LONGEST_STEP, SHORTEST_STEP, Policy
from velora.export.targets import Options

OPERATORS: Final = 17
FORMAT: Final = 8
"""Of the file (``ir_version``): the one that came with operator set 17."""
OBSERVATION, STATE, DT, ACTION, NEXT_STATE = "observation", "state", "dt", "action", "next_state"
"""Names of inputs and outputs."""


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
    made = helper.make_graph(
        graph.nodes, "policy", _inputs(policy), _outputs(policy), list(graph.initialisers.values())
    )
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
    return {
        MARK: "1",
        "velora.version": origin.velora_version,
        "agent": origin.agent,
        "cell": origin.cell,
        "environment": origin.environment,
        "checkpoint.sha256": origin.digest,
        "dt.unit": "control steps of the environment",
        "dt.range": json.dumps([SHORTEST_STEP, LONGEST_STEP]),
        "dt.read": json.dumps(policy.reads_dt),
        "action.unit": "the environment's",
        **{f"action.{name}": json.dumps(value) for name, value in dataclasses.asdict(units).items()},
    }


def _inputs(policy: Policy) -> list[ValueInfoProto]:
    time = f"time since the step before, in control steps, {SHORTEST_STEP:g} to {LONGEST_STEP:g}"
    return [
        _tensor(OBSERVATION, ["batch", policy.n_observations], "in the environment's units"),
        _tensor(STATE, ["batch", policy.n_state], "next_state of the step before; zeros when an episode begins"),
        _tensor(DT, ["batch"], time if policy.reads_dt else f"{time}; it changes nothing"),
    ]


def _outputs(policy: Policy) -> list[ValueInfoProto]:
    state = _tensor(NEXT_STATE, ["batch", policy.n_state], "state of the next step")
    if isinstance(units := policy.units, DiscreteActions):
        meaning = f"a number from {units.first} to {units.first + units.n - 1}"
        return [_tensor(ACTION, ["batch"], meaning, TensorProto.INT64), state]
    return [_tensor(ACTION, ["batch", policy.n_actions], "in the environment's units"), state]


def _tensor(name: str, shape: list[Any], meaning: str, kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape, doc_string=meaning)
