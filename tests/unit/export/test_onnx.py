"""ONNX: in onnxruntime it does what the float64 replay does, and the file says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.export.agents import WITH_TIME, Step, distance, observe_much, of_variant, trace
from velora.checkpoint import Checkpoint
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.loading import load

pytest.importorskip("onnx", reason="pip install 'velora-rl[onnx]'")
pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

import onnx
import onnxruntime

from velora.export.onnx.target import build

ZOO = Path(__file__).parents[3] / "src/velora/zoo"
AGENTS = sorted(path.parent.name for path in ZOO.glob("*/model_config.json"))


def written(policy: Policy) -> bytes:
    data: bytes = build(policy).SerializeToString(deterministic=True)
    return data


def session(policy: Policy) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(written(policy), options)


def stepped(policy: Policy) -> Step:
    one = session(policy)
    return lambda obs, state, dt: one.run(None, {"observation": obs, "state": state, "dt": dt})


def of_zoo(name: str) -> Policy:
    (path,) = (ZOO / name).glob("ep*")
    return describe(load(path, device="cpu"), Checkpoint.open(path))


@pytest.mark.parametrize(("name", "time"), [one for one in WITH_TIME if one[1] in ("both", "none")])
def test_every_cell_in_every_form(name: str, time: str) -> None:
    policy = describe(of_variant(name, time=time))
    assert distance(policy, stepped(policy)) < 2e-6


@pytest.mark.parametrize(
    "agent",
    [
        lambda: LiquidPPO(4, 12, 3, seed=1, discrete=True),
        lambda: LiquidPPO(4, 12, 3, seed=1),
        lambda: LiquidSAC(4, 12, 2, seed=1),
        lambda: observe_much(LiquidTD3(4, 12, 2, seed=1, normalize_obs=True)),
    ],
    ids=["discrete", "ppo", "sac", "normalised"],
)
def test_every_way_to_an_action(agent: Any) -> None:
    policy = describe(agent())
    assert distance(policy, stepped(policy)) < 2e-6


@pytest.mark.parametrize("name", AGENTS)
def test_the_zoo(name: str) -> None:
    policy = of_zoo(name)
    assert distance(policy, stepped(policy), steps=100) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", AGENTS)
def test_the_zoo_over_a_thousand_steps(name: str) -> None:
    policy = of_zoo(name)
    assert distance(policy, stepped(policy), steps=1_000) < 2e-5


def test_a_policy_of_twenty_neurons_is_small() -> None:
    assert len(written(of_zoo("pendulum"))) < 12_000


@pytest.mark.parametrize("kind", [LiquidTD3, LiquidPPO])
def test_a_batch_is_its_rows(kind: type[Agent]) -> None:
    policy = describe(kind(4, 12, 2, seed=1, cell="ltc"))
    step = stepped(policy)
    obs, dt = (np.array(column, np.float32) for column in zip(*trace(policy, 5), strict=True))
    state = np.random.default_rng(1).normal(size=(5, policy.n_state)).astype(np.float32)
    actions, states = step(obs, state, dt)
    assert actions.shape == (5, 2)
    for row in range(5):
        one = slice(row, row + 1)
        action, new = step(obs[one], state[one], dt[one])
        np.testing.assert_allclose(actions[one], action, atol=1e-6)
        np.testing.assert_allclose(states[one], new, atol=1e-6)


def test_a_discrete_action_is_a_number_of_the_environment() -> None:
    agent = LiquidPPO(4, 12, 3, seed=1, discrete=True)
    (action, _) = session(describe(agent)).get_outputs()
    assert (action.name, action.type, action.shape) == ("action", "tensor(int64)", ["batch"])


def test_the_same_policy_gives_the_same_bytes() -> None:
    first, second = (written(describe(LiquidDDPG(3, 10, 1, seed=0))) for _ in range(2))
    assert first == second


def test_the_file_says_what_it_is() -> None:
    policy = of_zoo("pendulum")
    model = onnx.load_from_string(written(policy))
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    said = {one.key: one.value for one in model.metadata_props}
    assert said["checkpoint.sha256"] == policy.origin.digest
    assert len(policy.origin.digest) == 64
    assert (said["agent"], said["environment"]) == ("LiquidSAC", "Pendulum-v1")
    assert (json.loads(said["action.low"]), json.loads(said["action.high"])) == ([-2.0], [2.0])
    assert not any(name.startswith("environment.") for name in said)
    ports = {one.name: one.doc_string for one in (*model.graph.input, *model.graph.output)}
    assert list(ports) == ["observation", "state", "dt", "action", "next_state"]
    assert ports["dt"] == "control steps since the step before, 1e-6 to 1e+6"
    assert ports["action"] == "in the environment's units, -2 to 2"


def test_the_file_names_the_wrappers() -> None:
    model = build(of_zoo("pendulum-irregular-time"))
    said = {one.key: one.value for one in model.metadata_props}
    assert json.loads(said["environment.wrappers"]) == [
        {"name": "HoldAction", "kwargs": {"hold": [1, 2, 3, 4], "order": "random"}},
        {"name": "DropObservation", "kwargs": {"drop": "velocity"}},
        {"name": "PreviousActionReward", "kwargs": {}},
    ]


def test_no_path_of_this_machine_is_in_the_file() -> None:
    data = written(of_zoo("pendulum-irregular-time"))
    assert not any(word in data for word in (str(Path.cwd()).encode(), b"site-packages", b".py"))


def test_the_names_are_those_of_layers() -> None:
    names = {one.name for one in build(describe(LiquidDDPG(3, 10, 1, seed=0))).graph.initializer}
    assert {"layer0.weight", "layer0.bias", "layer2.weight", "output.half"} <= names
