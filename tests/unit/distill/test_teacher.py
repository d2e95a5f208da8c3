"""Teachers: what an ONNX file answers, in whose units, and how a bad one is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.shared import QUIET
from tests.unit.distill.onnx_files import INSTALL, write, write_adding
from velora.core.errors import CheckpointError, NonFiniteError, TeacherError
from velora.distill import AgentTeacher, OnnxTeacher, distill, onnx_file, open_teacher
from velora.distill.playing import play
from velora.distill.supervisor import normalised
from velora.distill.teacher import Units
from velora.envs import ActionBounds, DiscreteActions
from velora.export.exporting import export
from velora.models import LiquidDDPG, LiquidPPO, LiquidTD3

pytest.importorskip("onnxruntime", reason=INSTALL)

SWING = [[0.5, -1.0, 0.25]]
NO_STATE = np.zeros(0, np.float32)


def opened(path: Path, env: str = "Pendulum-v1", **settings: Any) -> OnnxTeacher:
    teacher = OnnxTeacher(path, **settings)
    with gym.make(env) as made:
        teacher.check(made)
    return teacher


@pytest.mark.parametrize("batch", ["batch", 1])
def test_an_onnx_file_answers_what_numpy_computes(tmp_path: Path, batch: Any) -> None:
    teacher = opened(write(tmp_path / "policy.onnx", SWING, batch=batch))
    obs = np.array([0.1, 0.2, -3.0], np.float32)
    answer, state = teacher.answer(obs, NO_STATE, 1.0)
    np.testing.assert_allclose(answer, np.tanh(np.asarray(SWING) @ obs), atol=1e-6)
    assert answer.dtype == np.float32
    assert state.size == 0


def test_without_onnxruntime_the_reference_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, obs = write(tmp_path / "policy.onnx", SWING), np.array([0.1, 0.2, -3.0], np.float32)
    expected, _ = opened(path).answer(obs, NO_STATE, 1.0)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    np.testing.assert_allclose(opened(path).answer(obs, NO_STATE, 1.0)[0], expected, atol=1e-6)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TeacherError, match=r"needs onnxruntime; pip install onnxruntime"):
        OnnxTeacher(path)


def test_labels_are_in_the_units_of_the_student() -> None:
    bounds = ActionBounds((-2.0, 0.0), (2.0, 10.0))
    assert normalised(np.array([1.0, 0.0]), bounds).tolist() == [0.5, -1.0]
    assert normalised(np.array([9.0, 7.5]), bounds).tolist() == [1.0, 0.5]
    assert normalised(np.array([3.0]), DiscreteActions(4)).tolist() == [3.0]


def test_means_are_the_first_half_of_an_output(tmp_path: Path) -> None:
    path = write(tmp_path / "gaussian.onnx", [*SWING, [9.0, 9.0, 9.0]])
    with pytest.raises(TeacherError, match=r"expected 1 numbers, .* got 2; if these are means, .* distill\.means=true"):
        opened(path)
    obs = np.ones(3, np.float32)
    answer, _ = opened(path, means=True).answer(obs, NO_STATE, 1.0)
    np.testing.assert_allclose(answer, np.tanh([-0.25]), atol=1e-6)


def test_of_discrete_actions_the_largest_is_taken(tmp_path: Path) -> None:
    teacher = opened(write(tmp_path / "policy.onnx", [[0, 0, 1, 0], [0, 0, -1, 0]]), "CartPole-v1")
    assert teacher.answer(np.array([0, 0, 0.1, 0], np.float32), NO_STATE, 1.0)[0].tolist() == [0.0]
    assert teacher.answer(np.array([0, 0, -0.1, 0], np.float32), NO_STATE, 1.0)[0].tolist() == [1.0]


def test_one_of_several_outputs_is_asked_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.onnx", SWING, outputs=("value", "action"))
    with pytest.raises(TeacherError, match=r"since it has 2; give distill\.output=<name>, one of value, action"):
        OnnxTeacher(path)
    with pytest.raises(TeacherError, match=r"got 'pi'; give distill\.output=<name>"):
        OnnxTeacher(path, output="pi")
    assert opened(path, output="action").answer(np.ones(3, np.float32), NO_STATE, 1.0)[0].shape == (1,)


@pytest.mark.parametrize("names", [("hidden", "next_hidden"), ("h_in", "h_out")])
def test_a_file_with_a_memory_is_asked_along_an_episode(tmp_path: Path, names: tuple[str, str]) -> None:
    teacher = opened(write_adding(tmp_path / "policy.onnx", before=names[0], after=names[1]))
    assert teacher.state_size == 3
    first, state = teacher.answer(np.array([1.0, 2.0, 3.0], np.float32), np.zeros(3, np.float32), 1.0)
    second, state = teacher.answer(np.array([1.0, 1.0, 1.0], np.float32), state, 0.5)
    assert (first.tolist(), second.tolist(), state.tolist()) == ([1.0], [1.5], [1.5, 2.5, 3.5])


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "two inputs": (
        {"more_inputs": ["hidden"]},
        r"expected one input, .* got obs \(any, 3\), hidden \(1\); a memory",
    ),
    "another size": ({"weights": [[1.0, 2.0]]}, r"reads 2 numbers \(obs \(any, 2\)\), and the environment shows 3"),
    "a fixed batch": ({"batch": 4}, r"expected a batch of any size, or of 1, got obs \(4, 3\)"),
    "an unknown operator": ({"last": "Sorcery"}, r"has an operator that is unknown here \(.*Sorcery.*opset 17"),
    "an unknown domain": ({"last": "Sorcery", "domain": "my.own"}, r"has an operator that is unknown here \(.*Sorcery"),
    "a newer opset": ({"opset": 99}, r"is of Opset 99, which is newer than the onnxruntime that is installed; export"),
    "a newer format": ({"ir": 99}, r"is of IR version: 99, which is newer than the onnxruntime that is installed; "),
    "too many actions": ({"weights": [[1.0] * 3] * 3}, r"output action: expected 1 numbers, .* got 3$"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    settings, message = BAD[name]
    path = write(tmp_path / "policy.onnx", **{"weights": SWING, **settings})
    with pytest.raises(TeacherError, match=message) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_policy_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"teacher: .*missing\.onnx: can't be read \(No such file or directory\)"):
        open_teacher(tmp_path / "missing.onnx")
    with pytest.raises(TeacherError, match=r"x: can't be read \(File name too long\); expected an ONNX file"):
        open_teacher("x" * 300)
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(TeacherError, match=r"expected an ONNX file, which can't be loaded"):
        open_teacher(tmp_path / "text.onnx")
    with pytest.raises(CheckpointError):
        open_teacher(tmp_path)
    path = write(tmp_path / "policy.onnx", SWING)
    with pytest.raises(TeacherError, match=r"actions: expected units or normalised, got 'degrees'"):
        open_teacher(path, actions="degrees")  # type: ignore[arg-type]


def test_nan_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    path = write(tmp_path / "policy.onnx", [[np.nan, 0.0, 0.0]])
    agent = LiquidTD3(3, 10, 1, seed=0, device="cpu")
    with pytest.raises(NonFiniteError, match=r"teacher: .*policy\.onnx: answered \[nan\]; expected finite numbers"):
        distill(agent, OnnxTeacher(path), "Pendulum-v1", 4, n_steps=10, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_actions_that_stay_within_one_where_more_is_allowed_are_remarked_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "policy.onnx", [[3.0, 3.0, 3.0]])
    agent = LiquidTD3(3, 10, 1, seed=0, device="cpu", warmup_steps=5)
    expected: tuple[tuple[Units, int], ...] = (("units", 1), ("normalised", 0))
    for actions, n in expected:
        caplog.clear()
        distill(agent, OnnxTeacher(path, actions=actions), "Pendulum-v1", 4, n_steps=1, **QUIET)
        said = [record.message for record in caplog.records if "distill.actions=normalised" in record.message]
        assert len(said) == n


def test_an_agent_of_veloras_teaches_with_its_memory() -> None:
    agent = LiquidDDPG(3, 10, 1, seed=0, device="cpu")
    with gym.make("Pendulum-v1") as env:
        agent.adapt(env)
        teacher = AgentTeacher(agent)
        teacher.check(env)
        hidden, state = None, np.zeros(teacher.state_size, np.float32)
        for step in range(5):
            obs, dt = np.full(3, 0.1 * step, np.float32), 1.0 + 0.5 * (step > 0)
            expected, hidden = agent.predict(obs, hidden, dt=dt)
            answer, state = teacher.answer(obs, state, dt)
            np.testing.assert_allclose(answer, expected, atol=1e-6)
        assert len(play(teacher, env, [3], max_steps=20).returns) == 1
    with (
        gym.make("MountainCarContinuous-v0") as env,
        pytest.raises(TeacherError, match=r"reads 3 numbers, of Pendulum-v1"),
    ):
        teacher.check(env)
    with gym.make("Acrobot-v1") as env, pytest.raises(TeacherError, match="reads 3 numbers"):
        teacher.check(env)
    with pytest.raises(TeacherError, match="holds 2 seeds"):
        AgentTeacher(LiquidDDPG(3, 10, 1, seeds=[0, 1], device="cpu"))


def test_what_is_installed_is_said_of_a_file(tmp_path: Path) -> None:
    loaded = onnx_file.load(write(tmp_path / "policy.onnx", SWING).read_bytes(), "policy.onnx")
    assert [str(port) for port in (*loaded.inputs, *loaded.outputs)] == ["obs (any, 3)", "action (any, 1)"]


def test_the_number_of_a_choice_is_counted_as_the_environment_counts(tmp_path: Path) -> None:
    class Turns(gym.Env[Any, Any]):
        observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.Discrete(3, start=-1)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            return np.zeros(3, np.float32), {}

    agent = LiquidPPO(3, 8, 3, discrete=True, seed=0, device="cpu")
    agent.adapt(Turns())
    export(agent, "onnx", tmp_path / "policy.onnx")
    exported, own = OnnxTeacher(tmp_path / "policy.onnx"), AgentTeacher(agent)
    exported.check(Turns())
    state, chosen = np.zeros(own.state_size, np.float32), set()
    for obs in np.random.default_rng(0).normal(0.0, 3.0, (40, 3)).astype(np.float32):
        expected, _ = own.answer(obs, state, 1.0)
        assert exported.answer(obs, state, 1.0)[0].tolist() == expected.tolist()
        chosen.add(expected.item())
    assert len(chosen) > 1
