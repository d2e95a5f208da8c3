"""Training, evaluation and resume meet the same environment, whatever a user has put around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.shared import QUIET
from tests.unit.envs.stacks import Scaled, Table, Untold
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, SettingError
from velora.envs import statistics
from velora.models import LiquidDDPG, LiquidPPO
from velora.training.evaluation import evaluation_seeds


def make(*seeds: int, **settings: Any) -> LiquidDDPG:
    return LiquidDDPG(3, 4, 1, device="cpu", seeds=seeds or (1,), warmup_steps=10, buffer_size=400, **settings)


def pendulum(steps: int = 20) -> Any:
    return gym.make("Pendulum-v1", max_episode_steps=steps)


def played(agent: Any, env: Any, episodes: int) -> list[float]:
    """Play the evaluation episodes by hand."""
    returns = []
    for seed in evaluation_seeds(episodes):
        (obs, _), hidden, total, ended = env.reset(seed=seed), None, 0.0, False
        while not ended:
            action, hidden = agent.predict(np.asarray(obs, np.float32), hidden)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, ended = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


class Evaluate(Callback):
    """Evaluate at the end, and keep what was found."""

    def __init__(self) -> None:
        self.returns: list[list[float]] = []

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        self.returns = [list(one.returns) for one in trainer.evaluate()]


STACKS: dict[str, Any] = {
    "a time limit outside": lambda: gym.wrappers.TimeLimit(gym.wrappers.RepeatAction(pendulum(), 2), 7),
    "a function": lambda: gym.wrappers.TransformReward(pendulum(), lambda reward: 10.0 - float(reward)),
    "a user's that tells": lambda: Scaled(pendulum(), -3.0),
    "a user's that doesn't": lambda: Untold(pendulum()),
    "seen otherwise": lambda: gym.wrappers.RescaleObservation(
        pendulum(), np.array([-3, -3, -3], np.float32), np.array([3, 3, 3], np.float32)
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_evaluation_is_in_the_environment_of_training(name: str) -> None:
    env, found, agent = STACKS[name](), Evaluate(), make()
    agent.train(env, 8, n_episodes=4, evaluation_episodes=3, callbacks=[found], **QUIET)
    np.testing.assert_allclose(found.returns[0], played(agent, STACKS[name](), 3), rtol=1e-4)
    env.reset(seed=0)


def test_evaluation_sees_through_the_statistics_of_training(tmp_path: Path) -> None:
    """And changes nothing of them: the first evaluation, too, is that of the agent's own eyes."""

    def normalised() -> Any:
        return gym.wrappers.NormalizeReward(gym.wrappers.NormalizeObservation(pendulum()))

    env, found, agent = normalised(), Evaluate(), make()
    agent.train(env, 8, n_episodes=6, evaluation_episodes=4, callbacks=[found], **QUIET)
    with statistics.at_rest([env]):
        expected = played(agent, env, 4)
    np.testing.assert_allclose(found.returns[0], expected, rtol=1e-4)
    alone = normalised()
    assert not np.allclose(found.returns[0], played(agent, alone, 4), rtol=1e-2)  # fresh statistics are others
    without = make()
    other = normalised()
    without.train(other, 8, n_episodes=6, **QUIET)
    for one, two in zip(statistics.kept(env), statistics.kept(other), strict=True):
        for key in one:
            numbers = [np.ravel(rms if isinstance(rms, np.ndarray) else rms.mean) for rms in (one[key], two[key])]
            assert np.array_equal(numbers[0], numbers[1])
    said: Any = agent.environment
    assert [row["name"] for row in said["wrappers"]] == ["NormalizeObservation", "NormalizeReward"]
    assert said["wrappers"][0]["statistics"]["obs_rms"]["count"] == pytest.approx(6 * 21, rel=1e-3)


@pytest.mark.parametrize("evaluations", [None, 2])
def test_a_run_with_statistics_goes_on_to_the_same_bits(tmp_path: Path, evaluations: int | None) -> None:
    def run(folder: str, n_steps: int, resume: Path | None = None) -> dict[str, str]:
        env = gym.wrappers.NormalizeReward(gym.wrappers.NormalizeObservation(pendulum()))
        saver = SaveCheckpoints(tmp_path / folder)
        make(1, 2).train(
            env, 8, n_steps=n_steps, evaluate_every=evaluations, evaluation_episodes=2, callbacks=[saver],
            resume=resume, **QUIET,
        )  # fmt: skip
        files = Checkpoint.open(tmp_path / folder / "seed2" / "final").metadata.files
        return {name: info.sha256 for name, info in files.items()}

    whole = run("whole", 95)
    run("half", 50)  # in the middle of an episode
    assert run("half", 95, resume=tmp_path / "half") == whole
    said = [Checkpoint.open(tmp_path / name / "seed2" / "final").metadata.environment for name in ("whole", "half")]
    assert said[0] == said[1]


class Counted(Untold):
    """A lone environment that counts how often it is closed, and whether episodes are mixed up."""

    closed = 0
    running = False

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_a_function_that_gives_one_and_the_same_serves_in_turn(caplog: pytest.LogCaptureFixture) -> None:
    env, found, agent = Counted(pendulum()), Evaluate(), make()
    agent.train(lambda: env, 8, n_episodes=3, evaluation_episodes=3, callbacks=[found], **QUIET)
    np.testing.assert_allclose(found.returns[0], played(agent, Untold(pendulum()), 3), rtol=1e-4)
    assert env.closed == 0
    lines = [line for line in caplog.messages if line.startswith("evaluation: ")]
    assert len(lines) == 1
    assert "the function gave one environment several times" in lines[0]


class OnePort(Table):
    """A simulator of which there can be so many only."""

    most, opened = 1, 0

    def __init__(self) -> None:
        super().__init__()
        if type(self).opened >= type(self).most:
            raise OSError("the port is in use")
        type(self).opened += 1

    def close(self) -> None:
        type(self).opened -= 1
        super().close()


@pytest.mark.parametrize(("most", "seeds"), [(1, 1), (2, 1), (2, 2), (3, 1), (5, 2)])
def test_a_simulator_of_which_there_are_few_is_evaluated_in(
    most: int, seeds: int, caplog: pytest.LogCaptureFixture
) -> None:
    class Port(OnePort):
        pass

    Port.most = most

    def port() -> Any:
        return gym.wrappers.TimeLimit(Port(), 20)

    found, agent = Evaluate(), make(*range(seeds))
    agent.train(port, 8, n_episodes=3, evaluation_episodes=4, callbacks=[found], **QUIET)
    assert Port.opened == 0
    for k in range(seeds):
        np.testing.assert_allclose(found.returns[k], played(agent.seed(k), pendulum(), 4), rtol=1e-4)
    (line,) = [line for line in caplog.messages if line.startswith("evaluation: ")]
    assert "OSError: the port is in use" in line


def test_a_lone_environment_is_not_evaluated_in_the_middle_of_an_episode() -> None:
    class Early(Callback):
        error: Any = None

        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            if trainer.step == 5:
                try:
                    trainer.evaluate()
                except SettingError as error:
                    self.error = error

    early = Early()
    make().train(Untold(pendulum()), 8, n_episodes=2, callbacks=[early], **QUIET)
    assert "evaluate between episodes only" in str(early.error)


def test_what_a_checkpoint_cannot_hold_is_said_once_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    env = Untold(gym.make("velora_tests/Table-v0", table=np.zeros(10**5)))
    make().train(env, 8, n_episodes=1, **QUIET)
    lines = [line for line in caplog.messages if "a checkpoint can't hold" in line]
    assert len(lines) == 1
    assert "its keyword table (a ndarray), the wrapper Untold (tests.unit.envs.stacks), which is code" in lines[0]
    caplog.clear()
    make().train(pendulum(), 8, n_episodes=1, **QUIET)
    assert "can't hold" not in caplog.text


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: gym.make("Pendulum-v1", g=5.0, max_episode_steps=20), r"kwargs was \{\}, is \{'g': 5.0\}"),
        (lambda: gym.wrappers.ClipReward(pendulum(), -1.0, 0.0), "wrappers was None, is .*ClipReward"),
    ],
)
def test_a_run_does_not_go_on_in_another_environment(tmp_path: Path, other: Any, message: str) -> None:
    make().train(pendulum(), 8, n_episodes=1, callbacks=[SaveCheckpoints(tmp_path)], **QUIET)
    with pytest.raises(CheckpointError, match=rf"^resume: the run was trained in another .*{message}") as error:
        make().train(other(), 8, n_episodes=2, resume=tmp_path, **QUIET)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: pendulum(30), "max_episode_steps was 20, is 30"),
        (
            lambda: gym.wrappers.TransformReward(pendulum(), lambda reward: -float(reward)),
            "missing was None, is ['the wrapper TransformReward",
        ),
        (lambda: Untold(pendulum()), "missing was None, is ['the wrapper Untold"),
    ],
)
def test_a_run_says_that_it_may_go_on_otherwise(
    tmp_path: Path, other: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    make().train(pendulum(), 8, n_episodes=1, callbacks=[SaveCheckpoints(tmp_path)], **QUIET)
    make().train(other(), 8, n_episodes=2, resume=tmp_path, **QUIET)
    said = [line for line in caplog.messages if line.startswith(f"resume: the environment's {message}")]
    assert len(said) == 1
    assert said[0].endswith("; the run goes on, but not to the same bits")


def test_an_environment_that_was_changed_is_evaluated_in_itself(caplog: pytest.LogCaptureFixture) -> None:
    def heavy() -> Any:
        env = pendulum()
        env.unwrapped.g = 2.0
        return env

    found, agent = Evaluate(), make()
    agent.train(heavy(), 8, n_episodes=3, evaluation_episodes=3, callbacks=[found], **QUIET)
    np.testing.assert_allclose(found.returns[0], played(agent, heavy(), 3), rtol=1e-4)
    (line,) = [line for line in caplog.messages if line.startswith("evaluation: ")]
    assert "its g is 2.0 here and 10.0 in a copy" in line


def test_every_environment_of_a_seed_goes_on_with_its_own_statistics(tmp_path: Path) -> None:
    def run(folder: str, n_steps: int, resume: Path | None = None) -> dict[str, str]:
        settings: dict[str, Any] = {"n_envs": 3, "rollout_steps": 8, "sequence_length": 4, "n_epochs": 2}
        agent = LiquidPPO(3, 4, 1, device="cpu", seeds=[1], critic_units=(8, 8), **settings)
        env = gym.wrappers.NormalizeReward(gym.wrappers.NormalizeObservation(pendulum()))
        saver = SaveCheckpoints(tmp_path / folder)
        agent.train(env, 8, n_steps=n_steps, callbacks=[saver], resume=resume, **QUIET)
        files = Checkpoint.open(tmp_path / folder / "final").metadata.files
        return {name: info.sha256 for name, info in files.items()}

    whole = run("whole", 180)
    run("half", 96)  # in the middle of a rollout and of all episodes
    assert run("half", 180, resume=tmp_path / "half") == whole
    said: Any = Checkpoint.open(tmp_path / "half" / "final").metadata.environment
    assert [[one["name"] for one in other] for other in said["others"]] == [
        ["NormalizeObservation", "NormalizeReward"]
    ] * 2
