"""Every hook fires where its name says, in Lightning's order."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import pytest
import torch

from tests.shared import KERNELS, QUIET
from velora.callbacks import Schedule, StopOnTime
from velora.callbacks.base import HOOKS, Callback
from velora.core.errors import SettingError
from velora.metrics.store import RunStore
from velora.models import LiquidDDPG
from velora.training.hook_table import NO_HOOKS, HookTable, check_callbacks


def make(**settings: Any) -> LiquidDDPG:
    return LiquidDDPG(3, 6, 1, **{"device": "cpu", "seed": 1, "warmup_steps": 4, "buffer_size": 100, **settings})


def short_pendulum(steps: int = 3) -> gym.Env[Any, Any]:
    return gym.make("Pendulum-v1", max_episode_steps=steps)


def _record(name: str) -> Any:
    def hook(self: Any, trainer: Any, agent: Any, *rest: Any) -> None:
        self.calls.append((name, rest))

    return hook


class Recorder(Callback):
    """Write down every hook with what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    for _name in HOOKS:
        locals()[_name] = _record(_name)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def given(self, name: str) -> list[tuple[Any, ...]]:
        return [rest for called, rest in self.calls if called == name]


START = ["setup", "on_fit_start", "on_train_start"]
EPISODE = ["on_episode_start", "on_train_epoch_start"]
OPTIMIZE = ["on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"]
STEP = ["on_env_step", "on_step_end"]
UPDATE = ["on_train_batch_start", *OPTIMIZE, *OPTIMIZE, "on_train_batch_end"]  # critic, then actor
EPISODE_END = ["on_episode_end"]
EPOCH_END = ["on_train_epoch_end"]  # after evaluation, as Lightning's is after validation
EVALUATION = ["on_evaluation_start", "on_validation_start", "on_validation_end", "on_evaluation_end"]
END = ["on_train_end", "on_fit_end", "teardown"]


def test_the_whole_sequence() -> None:
    recorder = Recorder()
    make().train(
        short_pendulum(), 2, n_episodes=2, window_size=2, evaluate_every=2, evaluation_episodes=1,
        callbacks=[recorder], **QUIET,
    )  # fmt: skip
    first = [*EPISODE, *STEP, *STEP, "on_env_step", *EPISODE_END, *EPOCH_END, "on_step_end"]  # all warm-up
    # The fourth step ends the warm-up; the agent learns while the environment takes the fifth and the sixth.
    second = [*EPISODE, *STEP, "on_warmup_end", *UPDATE, *STEP, *UPDATE, "on_env_step", *EPISODE_END]
    end = [*EVALUATION, *EPOCH_END, "on_step_end", *END]
    assert recorder.names == [*START, *first, *second, "on_window_end", *end]


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_update_has_begun_when_the_warm_up_ends(kernel: str) -> None:
    """On any thread: the hook may look at the weights, and what it changes is what the first update begins from."""

    class Change(Callback):
        def on_warmup_end(self, trainer: Any, agent: Any) -> None:
            time.sleep(0.02)
            assert (trainer.update, trainer.step) == (0, 4)
            with torch.no_grad():
                for name, value in agent.networks["actor"].named_parameters():
                    assert torch.equal(value, first[name])
                    value *= 0.5

    agent = make(kernel=kernel)
    first = {name: value.detach().clone() for name, value in agent.networks["actor"].named_parameters()}
    agent.train(short_pendulum(), 2, n_steps=5, callbacks=[Change()], threads=2, **QUIET)
    assert agent.progress[0].update == 1
    moved = [
        float((value.detach() - 0.5 * first[name]).abs().max())
        for name, value in agent.networks["actor"].named_parameters()
    ]
    assert 0.0 < max(moved) <= 1.01 * agent.settings.actor_lr  # the largest step that Adam can begin with


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_environment_step_is_told_once_its_update_is_made_and_its_transition_is_stored(kernel: str) -> None:
    told: list[tuple[int, int, int]] = []

    class Look(Callback):
        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            told.append((trainer.step, trainer.update, agent.buffer.size(0)))

    make(kernel=kernel).train(short_pendulum(), 2, n_steps=7, callbacks=[Look()], **QUIET)
    assert told == [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 0, 4), (5, 1, 5), (6, 2, 6), (7, 3, 7)]


@pytest.mark.parametrize("where", [name for name in HOOKS if name in (*EPISODE, *OPTIMIZE, *UPDATE, "on_env_step")])
def test_an_evaluation_within_a_step_changes_nothing(where: str) -> None:
    """As callbacks are promised; the networks that are evaluated are those that are being improved."""

    def trained(callback: Callback) -> list[torch.Tensor]:
        agent = make(sequence_length=2)
        agent.train(short_pendulum(), 4, n_steps=8, evaluation_episodes=4, callbacks=[callback], **QUIET)
        return [value.detach().clone() for net in agent.networks.values() for value in net.parameters()]

    def evaluate(self: Any, trainer: Any, agent: Any, *given: Any) -> None:
        trainer.evaluate()

    def rest(self: Any, *given: Any) -> None: ...

    watched, plain = (trained(type("Own", (Callback,), {where: hook})()) for hook in (evaluate, rest))
    assert all(map(torch.equal, watched, plain))


def test_hooks_are_given_what_their_signature_says() -> None:
    recorder = Recorder()
    make().train(
        short_pendulum(), 2, n_episodes=3, evaluate_every=3, evaluation_episodes=2, callbacks=[recorder], **QUIET
    )
    assert recorder.given("setup") == recorder.given("teardown") == [("fit",)]
    assert [e.number for (e,) in recorder.given("on_episode_end")] == [1, 2, 3]
    last = recorder.given("on_episode_end")[-1][0]
    assert (last.length, last.truncated, last.terminated) == (3, True, False)
    transition = recorder.given("on_env_step")[0][0]
    assert transition.obs.shape == transition.next_obs.shape == (1, 3)
    assert transition.action.shape == (1, 1)
    rewards = [t.reward[0] for (t,) in recorder.given("on_env_step")[-3:]]
    assert sum(rewards) == pytest.approx(last.reward)
    batch, index = recorder.given("on_train_batch_start")[1]
    outputs, same, again = recorder.given("on_train_batch_end")[1]
    assert batch is same
    assert index == again == 1
    assert set(outputs) == {"actor/loss", "critic/loss", "critic/q"}
    assert [loss.dim() for (loss,) in recorder.given("on_before_backward")] == [0] * len(
        recorder.given("on_before_backward")
    )
    (evaluation,) = recorder.given("on_evaluation_end")[0]
    assert len(evaluation.returns) == 2


def test_gradients_are_there_after_backward_and_clipped_before_the_step() -> None:
    norms: dict[str, list[float]] = {"after": [], "before_step": []}

    class Watch(Callback):
        def on_after_backward(self, trainer: Any, agent: Any) -> None:
            norms["after"].append(self._norm(agent))

        def on_before_optimizer_step(self, trainer: Any, agent: Any, optimizer: Any) -> None:
            norms["before_step"].append(
                float(sum(p.grad.square().sum() for p in optimizer.param_groups[0]["params"]) ** 0.5)
            )

        def _norm(self, agent: Any) -> float:
            critic = agent.networks["critic"]
            return float(sum(p.grad.square().sum() for p in critic.parameters() if p.grad is not None) ** 0.5)

    make(grad_clip=1e-3).train(short_pendulum(), 2, n_episodes=3, callbacks=[Watch()], **QUIET)
    assert max(norms["after"]) > 1e-3
    assert max(norms["before_step"]) <= 1.001e-3


def test_an_unused_hook_is_an_empty_tuple() -> None:
    class OnlyOne(Callback):
        def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None: ...

    table = HookTable([OnlyOne(), Callback()], None, None)
    assert len(table.on_episode_end) == 1  # type: ignore[attr-defined]
    assert all(getattr(table, name) == () for name in HOOKS if name != "on_episode_end")
    assert all(getattr(NO_HOOKS, name) == () for name in HOOKS)


def test_two_callbacks_with_one_state_key_are_refused() -> None:
    class Counter(Callback):
        def state_dict(self) -> dict[str, Any]:
            return {"n": 1}

    with pytest.raises(SettingError, match="2 share the state_key"):
        make().train(short_pendulum(), 2, n_episodes=1, callbacks=[Counter(), Counter()], **QUIET)
    with pytest.raises(SettingError, match="add parentheses"):
        make().train(short_pendulum(), 2, n_episodes=1, callbacks=[Counter], **QUIET)  # type: ignore[list-item]


@pytest.mark.parametrize("where", ["on_episode_end", "on_train_batch_end", "on_fit_start", "setup"])
def test_an_error_in_a_callback_keeps_its_traceback_and_is_never_a_finished_run(where: str, tmp_path: Any) -> None:
    recorder = Recorder()

    class Fails(Callback):
        pass

    def fail(self: Any, *_: Any) -> None:
        raise ZeroDivisionError("boom")

    setattr(Fails, where, fail)
    agent = make()
    with pytest.raises(ZeroDivisionError, match="boom") as error:
        agent.train(short_pendulum(), 2, n_episodes=4, run_dir=tmp_path, callbacks=[recorder, Fails()], **QUIET)
    assert error.traceback[-1].name == "fail"
    assert recorder.names[-1] == "on_exception"
    assert isinstance(recorder.given("on_exception")[0][0], ZeroDivisionError)
    assert not {"on_train_end", "on_fit_end", "teardown"} & set(recorder.names)
    with RunStore(tmp_path / "metrics.db") as store:
        statuses = store.connection.execute("SELECT status FROM experiment").fetchall()
    assert statuses == ([] if where == "setup" else [("crashed",)])
    assert agent.hooks is NO_HOOKS


def test_an_error_of_the_environment_reaches_the_caller_even_if_a_callback_fails_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            raise OSError("the motor is on fire")

    class Worse(Callback):
        def on_exception(self, trainer: Any, agent: Any, exception: BaseException) -> None:
            raise ValueError("and the brake too")

    recorder = Recorder()
    with pytest.raises(OSError, match="on fire"):
        make().train(Broken(short_pendulum()), 2, n_episodes=1, callbacks=[Worse(), recorder], **QUIET)
    assert recorder.names[-1] == "on_exception"
    assert "a callback failed in on_exception" in caplog.text


def test_several_seeds_fire_the_hooks_of_an_episode_each() -> None:
    recorder = Recorder()
    agent = make(seed=None, seeds=[4, 5, 6])
    result = agent.train("Pendulum-v1", 2, n_episodes=1, n_steps=6, callbacks=[recorder], **QUIET)
    assert sorted(e.seed_index for (e,) in recorder.given("on_episode_start")) == [0, 1, 2]
    assert recorder.given("on_env_step")[0][0].obs.shape == (3, 3)
    assert result.status == "finished"


def test_one_callback_is_given_once_and_one_setting_has_one_schedule() -> None:
    once = StopOnTime(seconds=1)
    with pytest.raises(SettingError, match="callbacks: StopOnTime is given twice; once is enough"):
        check_callbacks([once, once])
    check_callbacks([Schedule("actor_lr", start=1.0), Schedule("critic_lr", start=1.0)])
    with pytest.raises(SettingError, match=r"2 share the state_key 'Schedule\[actor_lr\]'"):
        check_callbacks([Schedule("actor_lr", start=1.0), Schedule("actor_lr", start=2.0)])
