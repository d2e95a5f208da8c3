"""DAgger: who acts, what is labelled, what is learned from it, and what becomes of the student."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import velora
from tests.shared import KERNELS, QUIET, digests
from velora.buffers import Batch
from velora.callbacks import Callback, SaveCheckpoints
from velora.core.errors import CheckpointError, SettingError, SpaceError
from velora.core.types import Array
from velora.distill import AgentTeacher, Teacher, distill
from velora.distill.acting import Guided
from velora.distill.lesson import Imitation
from velora.distill.supervisor import Supervisor
from velora.envs.make import Env
from velora.envs.wrappers import Delay, DropObservation, HoldAction
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

SMALL: dict[str, Any] = {
    "device": "cpu", "warmup_steps": 10, "buffer_size": 500, "sequence_length": 4, "burn_in": 2, "grad_clip": None,
}  # fmt: skip


class Rule(Teacher):
    """A teacher that is a function of observations, and keeps those that it was asked about."""

    name, digest = "rule", "rule"

    def __init__(self, rule: Callable[[NDArray[np.float32]], Any]) -> None:
        self.rule, self.asked = rule, list[NDArray[np.float32]]()

    def check(self, env: Env) -> None:
        """Fit everywhere."""

    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """Answer by the rule."""
        self.asked.append(obs.copy())
        return np.atleast_1d(np.asarray(self.rule(obs), np.float32)), state

    def keep(self, place: Path) -> Path:
        """Keep nothing."""
        return place


def swing(obs: NDArray[np.float32]) -> Any:
    return np.tanh(obs[2] - obs[1])


class Look(Callback):
    """Keep what was done, and the rows that are learned from."""

    def __init__(self) -> None:
        self.done: list[Array] = []
        self.rows: dict[str, Array] = {}

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        self.done.append(transition.action[0])

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        buffer = agent.experience.buffer
        self.rows = {n: buffer._rows[0, : buffer.size(0), where].copy() for n, where in buffer._columns.items()}


def student_of(kind: type[Agent] = LiquidTD3, state_dim: int = 3, action_dim: int = 1, **settings: Any) -> Any:
    return kind(state_dim, 10, action_dim, **{"seed": 0, **SMALL, **settings})


# ---------------------------------------------------------------------------------------------------- what is labelled


@pytest.mark.parametrize("share", [0, 30])
def test_labels_are_the_teachers_for_the_states_that_the_student_got_into(share: int) -> None:
    look, rule, student = Look(), Rule(swing), student_of()
    distill(student, rule, "Pendulum-v1", 4, beta_steps=share, n_steps=60, callbacks=look, **QUIET)
    asked = np.array(rule.asked[-60:])
    np.testing.assert_array_equal(look.rows["obs"], asked)
    labels = 0.5 * np.tanh(asked[:, 2] - asked[:, 1])  # torque of 2 is an action of 1
    np.testing.assert_allclose(look.rows["action"][:, 0], labels, atol=1e-6)
    done = np.array(look.done)[:, 0]
    np.testing.assert_allclose(done[:10], labels[:10], atol=1e-6)  # in the warm-up the teacher acts
    mine = np.abs(done - labels) > 1e-6
    assert mine[10 + share :].all()
    assert not share or 0 < mine[10:40].sum() < 30


def test_the_student_acts_by_its_policy_and_memory() -> None:
    look, student = Look(), student_of(actor_lr=1e-9)
    distill(student, Rule(swing), "Pendulum-v1", 4, beta_steps=0, n_steps=30, callbacks=look, **QUIET)
    hidden = None
    for step, (obs, done) in enumerate(zip(look.rows["obs"], look.done, strict=True)):
        action, hidden = student.predict(obs, hidden)
        assert step < 10 or np.allclose(action / 2.0, done, atol=1e-5)


def test_what_hides_and_delays_is_on_the_students_side_alone() -> None:
    def worse(env: Env) -> Env:
        made: Env = Delay(DropObservation(HoldAction(env, [1, 2, 3]), "velocity"), observations=2)
        return made

    look, rule, student = Look(), Rule(swing), student_of(state_dim=2)
    distill(student, rule, "Pendulum-v1", 4, student=worse, n_steps=40, callbacks=look, **QUIET)
    asked = np.array(rule.asked[-40:])
    assert asked.shape == (40, 3)
    np.testing.assert_array_equal(look.rows["obs"][2:], asked[:-2, :2])
    np.testing.assert_allclose(look.rows["action"][:, 0], 0.5 * np.tanh(asked[:, 2] - asked[:, 1]), atol=1e-6)
    assert set(look.rows["dt"][1:, 0]) == {1.0, 2.0, 3.0}
    names = [one["name"] for one in student.environment["wrappers"]]
    assert names == ["HoldAction", "DropObservation", "Delay"]  # the place that the teacher looks from isn't named


def test_the_teachers_share_falls_in_a_straight_line() -> None:
    student = student_of()
    teacher = Supervisor(Rule(swing), 1, 1)
    guided = Guided(student.exploration, teacher, lambda rows: teacher.labels, (0,), warmup_steps=100, beta_steps=200)
    assert [guided.beta(step) for step in (0, 99, 100, 150, 300, 999)] == [1.0, 1.0, 1.0, 0.75, 0.0, 0.0]


# ----------------------------------------------------------------------------------------------------- what is learned


def windows(agent: Agent, n_seeds: int = 2) -> Batch:
    torch.manual_seed(3)
    shape = (n_seeds, 3, 6)
    a = 1 if agent.discrete else agent.settings.action_dim
    label = torch.randint(0, 2, (*shape, a)).float() if agent.discrete else torch.rand(*shape, a) * 2 - 1
    obs, flags = torch.randn(*shape, 3), torch.zeros(shape)
    start = torch.zeros(shape, dtype=torch.bool)
    start[:, 1, 3] = True
    return Batch(
        obs=obs, action=label, reward=flags, next_obs=obs, terminated=flags, truncated=flags,
        dt=torch.rand(shape) + 0.5, next_dt=flags + 1.0, start=start,
        hidden=0.3 * torch.randn(n_seeds, 3, agent.state_size),
    )  # fmt: skip


@pytest.mark.parametrize(
    "kernel", [pytest.param(name, marks=pytest.mark.slow if name == "torch" else ()) for name in KERNELS]
)
@pytest.mark.parametrize(("kind", "discrete"), [(LiquidTD3, False), (LiquidSAC, False), (LiquidSAC, True)])
def test_loss_and_gradient_are_those_of_the_formula(kernel: str, kind: Any, discrete: bool) -> None:
    own = {"discrete": True} if discrete else {}
    agent = kind(3, 10, 2, seeds=[0, 1], kernel=kernel, **SMALL, **own)
    batch, actor = windows(agent), agent.learner.modules["actor"]
    out, _, _ = actor.unroll((batch.obs,), batch.hidden, batch.dt, batch.start)
    counted = out[:, :, 2:]
    label = batch.action[:, :, 2:]
    if discrete:
        odds = torch.log_softmax(counted, 3)
        expected = -odds.gather(3, label.long()).flatten(1).mean(1)
    else:
        action = torch.tanh(counted[..., :2]) if kind is LiquidSAC else counted
        expected = (action - label).square().flatten(1).mean(1)
    parameters = dict(actor.named_parameters())
    gradients = torch.autograd.grad(expected.sum(), list(parameters.values()), allow_unused=True)

    before = {name: tensor.clone() for name, tensor in agent.learner.modules["critic_1"].state_dict().items()}
    metrics = Imitation(agent, agent.buffer).training_step(batch)
    torch.testing.assert_close(metrics["actor/loss"], expected.detach(), atol=1e-6, rtol=1e-5)
    agent.learner.held.show_gradients("actor")
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        wanted = torch.zeros_like(parameter) if gradient is None else gradient
        assert torch.allclose(found, wanted, atol=1e-6, rtol=1e-4), name
    for name, tensor in agent.learner.modules["critic_1"].state_dict().items():
        assert torch.equal(tensor, before[name])


def test_recorded_and_step_by_step_updates_are_the_same_bits() -> None:
    def trained(record: bool, **settings: Any) -> Agent:
        student: Agent = student_of(seed=None, seeds=[0, 1], normalize_obs=True, **settings)
        student.record = record
        distill(student, Rule(swing), "Pendulum-v1", 4, n_steps=40, beta_steps=5, **QUIET)
        return student

    whole, stepwise = trained(True), trained(False)
    assert whole.progress[0].update == 30
    for name, tensor in whole.learner.modules["actor"].state_dict().items():
        assert torch.equal(tensor, stepwise.learner.modules["actor"].state_dict()[name]), name


def test_seeds_side_by_side_go_the_way_that_each_goes_alone() -> None:
    both = student_of(seed=None, seeds=[4, 5])
    alone = student_of(seed=5)
    for student in (both, alone):
        distill(student, Rule(swing), "Pendulum-v1", 4, n_steps=60, beta_steps=5, updates_per_step=0.5, **QUIET)
    assert [lived.update for lived in both.progress] == [25, 25]
    for name, tensor in alone.learner.modules["actor"].state_dict().items():
        assert torch.equal(tensor[0], both.learner.modules["actor"].state_dict()[name][1]), name


class Reports(Callback):
    """Keep what every update reports."""

    def __init__(self) -> None:
        self.kept: dict[str, list[float]] = {}

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        for name, value in outputs.items():
            self.kept.setdefault(name, []).append(float(value[0]))


def test_a_student_learns_to_act_as_its_teacher() -> None:
    student, reports = student_of(actor_lr=1e-2, warmup_steps=50), Reports()
    distill(student, Rule(swing), "Pendulum-v1", 16, n_steps=400, beta_steps=50, callbacks=reports, **QUIET)
    losses = reports.kept["actor/loss"]
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:5])


def test_a_discrete_student_learns_the_choices() -> None:
    student, reports = student_of(LiquidSAC, 4, 2, discrete=True, actor_lr=1e-2, warmup_steps=50), Reports()
    rule = Rule(lambda obs: float(obs[2] + obs[3] > 0))
    distill(student, rule, "CartPole-v1", 16, n_steps=250, beta_steps=100, callbacks=reports, **QUIET)
    losses, agreement = (reports.kept[f"actor/{name}"] for name in ("loss", "agreement"))
    assert np.mean(losses[:2]) > 0.5  # a coin is at log 2
    assert np.mean(losses[-20:]) < 0.4
    assert np.mean(agreement[-20:]) > 0.85


# -------------------------------------------------------------------------------------------- what becomes of a student


def test_afterwards_it_is_an_ordinary_agent_that_is_trained_by_reinforcement(tmp_path: Path) -> None:
    student = student_of()
    experience, exploration = student.experience, student.exploration
    save = SaveCheckpoints(tmp_path / "run", frequency=None)
    distill(student, Rule(swing), "Pendulum-v1", 4, n_steps=30, callbacks=save, **QUIET)
    assert student.experience is experience
    assert student.exploration is exploration
    assert velora.verify(tmp_path / "run").is_whole
    loaded = LiquidTD3.load(tmp_path / "run/final", device="cpu")
    obs = np.array([0.1, 0.9, -1.0], np.float32)
    np.testing.assert_array_equal(loaded.predict(obs)[0], student.predict(obs)[0])
    result = loaded.train("Pendulum-v1", 4, n_steps=30, **QUIET)
    assert result.status == "finished"
    assert loaded.progress[0].update > student.progress[0].update
    target, actor = (student.learner.modules[name].state_dict() for name in ("target_actor", "actor"))
    first = student_of().learner.modules["actor"].state_dict()
    name = next(name for name, tensor in actor.items() if not torch.equal(tensor, first[name]))
    assert (target[name] - actor[name]).norm() < (first[name] - actor[name]).norm()


def test_a_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    teacher = LiquidDDPG(3, 10, 1, seed=9, device="cpu")
    train: Any = partial(
        distill, teacher=AgentTeacher(teacher), env="Pendulum-v1", batch_size=4, beta_steps=30, **QUIET
    )
    train(student_of(), n_steps=80, callbacks=SaveCheckpoints(tmp_path / "whole", frequency=None))
    train(student_of(), n_steps=33, callbacks=SaveCheckpoints(tmp_path / "parts", frequency=None))
    again = student_of()
    train(again, n_steps=80, callbacks=SaveCheckpoints(tmp_path / "parts", frequency=None), resume=tmp_path / "parts")
    whole, parts = digests(tmp_path / "whole/final"), digests(tmp_path / "parts/final")
    for name in ("model_state.safetensors", "optim_state.safetensors", "buffer_state.safetensors"):
        assert whole[name] == parts[name], name


def test_another_teacher_and_another_kind_of_run_are_refused(tmp_path: Path) -> None:
    save: Any = {"callbacks": SaveCheckpoints(tmp_path / "run", frequency=None), "n_steps": 20, **QUIET}
    distill(student_of(), Rule(swing), "Pendulum-v1", 4, **save)
    other = Rule(swing)
    other.digest = "other"
    resumed: Any = {"n_steps": 30, "resume": tmp_path / "run", **QUIET}
    with pytest.raises(CheckpointError, match=r"another teacher \(rule\) than was given \(other\)"):
        distill(student_of(), other, "Pendulum-v1", 4, **resumed)
    with pytest.raises(
        CheckpointError, match=r"resume: .*: the run learns from a teacher, whose actions its rows hold"
    ):
        student_of().train("Pendulum-v1", 4, **resumed)
    student_of().train(
        "Pendulum-v1", 4, n_steps=20, callbacks=SaveCheckpoints(tmp_path / "rl", frequency=None), **QUIET
    )
    with pytest.raises(CheckpointError, match=r"resume: .*: the run learns without a teacher"):
        distill(student_of(), Rule(swing), "Pendulum-v1", 4, n_steps=30, resume=tmp_path / "rl", **QUIET)


def test_a_student_that_cant_be_taught_is_refused() -> None:
    teach: Any = partial(distill, teacher=Rule(swing), env="Pendulum-v1", batch_size=4, n_steps=5)
    with pytest.raises(SettingError, match=r"distill: expected a student that replays, got a LiquidPPO"):
        teach(LiquidPPO(3, 10, 1, seed=0, device="cpu"))
    with pytest.raises(SettingError, match=r"distill\.beta_steps: expected a whole number of at least 0, got -1"):
        teach(student_of(), beta_steps=-1)
    with pytest.raises(SettingError, match=r"distill\.updates_per_step: expected a number above 0, got 0"):
        teach(student_of(), updates_per_step=0)
    with pytest.raises(SettingError, match="can't see environments in workers"):
        teach(student_of(), workers=1)


def test_actions_that_no_agent_chooses_are_refused_in_a_line() -> None:
    class Panel(gym.Env[Any, Any]):
        observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.MultiDiscrete([2, 3])

    with pytest.raises(SpaceError, match=r"Panel: expected .*MultiDiscrete"):
        distill(student_of(action_dim=2), Rule(swing), Panel, 4, n_steps=5)
