"""Contract of every agent, as tests to inherit; no test framework is imported.

Example:
    In a file that pytest collects::

        class TestMyAgent(AgentContract):
            def make(self, **own):
                return MyAgent(3, 8, 1, warmup_steps=20, **own)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.checkpoint.registry import agents
from velora.core.errors import SettingError, ShapeError, SpaceError, VeloraError
from velora.core.types import Metrics
from velora.envs.make import EnvironmentSource
from velora.models import Agent
from velora.training.result import TrainResult


class AgentContract:
    """Train, save, load and resume an agent in a small environment; a test class inherits this and says how to make it.

    Attributes:
        env: a registered environment that the agent fits, whose episodes take at most a few hundred steps.
        other_env: one that it doesn't fit.
        batch_size: of its updates.
        n_steps: environment steps after which it has learned several times.
        remembers: whether it has a memory, as agents have whose cell isn't ``memoryless``.
    """

    env: str = "Pendulum-v1"
    other_env: str = "InvertedPendulum-v5"
    batch_size: int = 8
    n_steps: int = 60
    remembers: bool = True

    def make(self, **own: Any) -> Agent:
        """Make a small agent; ``own`` are ``seed`` or ``seeds``, ``device`` and settings that a test changes."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------- acting

    def test_it_answers_in_kind_and_the_same_each_time(self) -> None:
        """One observation, a batch, NumPy and torch."""
        agent = self.make(seed=1)
        obs = np.linspace(-0.5, 0.5, agent.settings.state_dim, dtype=np.float32)
        action, hidden = agent.predict(obs)
        again, _ = agent.predict(obs)
        assert np.array_equal(action, again)
        assert hidden.shape == (agent.state_size,)
        actions, hiddens = agent.predict(np.stack([obs] * 3))
        assert len(actions) == 3
        assert hiddens.shape == (3, agent.state_size)
        assert np.allclose(actions[1], action, atol=1e-6)
        answer, state = agent.predict(torch.from_numpy(obs))
        assert isinstance(answer, torch.Tensor)
        assert isinstance(state, torch.Tensor)
        assert np.allclose(answer.cpu().numpy(), action, atol=1e-6)

    def test_it_acts_by_what_it_sees_and_remembers(self) -> None:
        """Greedy or exploring it gives what the environment takes, and not always the same."""
        agent = self.make(seed=1)
        obs = np.random.default_rng(0).normal(scale=2.0, size=(256, agent.settings.state_dim)).astype(np.float32)
        env, _ = EnvironmentSource(self.env).first()
        with contextlib.closing(env):
            agent.adapt(env)
            actions, hidden = agent.predict(obs)
            explored, _ = agent.predict(obs, explore=True)
            assert all(env.action_space.contains(action) for action in (*actions, *explored))
        assert len(np.unique(actions, axis=0)) > 1
        assert not np.array_equal(actions, explored)
        _, after = agent.predict(obs, hidden)
        assert np.array_equal(after, hidden) is not self.remembers

    def test_it_refuses_what_it_cannot_read(self) -> None:
        """Wrong shapes, a time step of zero, several seeds at once."""
        agent = self.make(seed=1)
        n = agent.settings.state_dim
        _refused(ShapeError, lambda: agent.predict(np.zeros(n + 1)))
        _refused(ShapeError, lambda: agent.predict(np.zeros(n), np.zeros(agent.state_size + 1)))
        _refused(SettingError, lambda: agent.predict(np.zeros(n), dt=0.0))
        _refused(SettingError, lambda: self.make(seeds=(1, 2)).predict(np.zeros(n)))
        _refused(SettingError, lambda: self.make(seeds=(1, 1)))

    # ------------------------------------------------------------------------------------------------------ learning

    def test_one_seed_learns(self) -> None:
        """Weights of every trained network move, and what is reported is finite."""
        self._learns((3,))

    def test_four_seeds_learn(self) -> None:
        """The same for four."""
        self._learns((3, 4, 5, 6))

    def _learns(self, seeds: Sequence[int]) -> None:
        agent, seen = self.make(seeds=seeds), _Seen()
        before = _parameters(agent)
        result = self._train(agent, callbacks=[seen])
        assert result.status == "finished"
        assert len(result.returns) == len(seeds)
        assert all(p.step == self.n_steps and p.update > 0 for p in agent.progress)
        assert seen.updates == max(p.update for p in agent.progress)
        assert all(value.shape == (len(seeds),) and value.isfinite().all() for value in seen.metrics.values())
        assert seen.steps > 0
        for k in range(len(seeds)):
            for net in agent.learning_rates():
                moved = [not torch.equal(old[k], _parameters(agent)[name][k]) for name, old in before.items()
                         if name.startswith(f"{net}.")]  # fmt: skip
                assert any(moved), (seeds[k], net)

    def test_a_seed_among_four_goes_the_way_it_goes_alone(self) -> None:
        """To float tolerance, after a few updates; wirings, weights, environments and random numbers are its own."""
        many, one = self.make(seeds=(3, 4, 5, 6)), self.make(seed=5)
        for agent in (many, one):
            self._train(agent)
        taken, alone = _parameters(many.seed(2)), _parameters(one)
        for name, value in alone.items():
            assert torch.allclose(taken[name], value, atol=1e-3), name

    def test_a_recorded_update_is_the_update_step_by_step(self) -> None:
        """To the bit, of all networks; an agent whose updates can't be recorded makes both step by step."""
        recorded, stepwise = self.make(seeds=(3, 4)), self.make(seeds=(3, 4))
        stepwise.record = False
        for agent in (recorded, stepwise):
            self._train(agent)
        made = _parameters(stepwise)
        for name, value in _parameters(recorded).items():
            assert torch.equal(value, made[name]), f"{name}: recorded and replayed it differs from step by step"

    def test_it_refuses_an_environment_that_it_does_not_fit(self) -> None:
        """In one line."""
        _refused(SpaceError, lambda: self.make(seed=1).train(self.other_env, self.batch_size, progress_bar=False))

    # ---------------------------------------------------------------------------------------------- saving, resuming

    def test_what_was_saved_is_loaded(self, tmp_path: Path) -> None:
        """The same answers, the same settings and progress, and the same bytes when it is saved again."""
        agent = self.make(seed=2)
        self._train(agent)
        agent.save(tmp_path / "ep1", config=True)
        loaded = type(agent).load(tmp_path / "ep1")
        assert agents.get(agent.key) is type(agent)
        assert loaded.settings == agent.settings
        assert loaded.progress == agent.progress
        obs = np.full(agent.settings.state_dim, 0.3, np.float32)
        assert np.array_equal(loaded.predict(obs)[0], agent.predict(obs)[0])
        loaded.save(tmp_path / "again")
        assert _digests(tmp_path / "again") == _digests(tmp_path / "ep1")
        agent.save(tmp_path / "ep2", buffer=True)
        type(agent).load(tmp_path / "ep2", buffer=True).save(tmp_path / "more", buffer=True)
        assert _digests(tmp_path / "more") == _digests(tmp_path / "ep2") != _digests(tmp_path / "ep1")

    def test_a_seed_of_many_is_an_agent(self, tmp_path: Path) -> None:
        """It answers as it did among the others, and is saved like any other; several at once are not."""
        agent = self.make(seeds=(3, 4, 5, 6))
        self._train(agent)
        _refused(SettingError, lambda: agent.save(tmp_path / "all"))
        one = agent.seed(3)
        one.save(tmp_path / "one")
        obs = np.full(agent.settings.state_dim, 0.3, np.float32)
        assert np.array_equal(type(agent).load(tmp_path / "one").predict(obs)[0], one.predict(obs)[0])
        assert one.seeds == (6,)

    def test_a_run_in_two_halves_is_the_run_in_one(self, tmp_path: Path) -> None:
        """To the bit, of weights, optimizers, buffer and all that a run keeps."""
        whole = self.make(seed=7)
        self._train(whole, n_steps=2 * self.n_steps, callbacks=[SaveCheckpoints(tmp_path / "whole")])
        half = self.make(seed=7)
        self._train(half, callbacks=[SaveCheckpoints(tmp_path / "half")])
        rest = self.make(seed=7)
        self._train(
            rest, n_steps=2 * self.n_steps, callbacks=[SaveCheckpoints(tmp_path / "half")], resume=tmp_path / "half"
        )
        assert _digests(tmp_path / "half" / "final") == _digests(tmp_path / "whole" / "final")

    def test_a_step_that_an_environment_fails_is_gone_on_from(self, tmp_path: Path) -> None:
        """To the bit, although actions of that step were chosen, and its update was made, before it failed."""
        whole, seen = self.make(seeds=(3, 4)), _Seen()
        self._train(whole, callbacks=[seen, SaveCheckpoints(tmp_path / "whole")])
        saving, n_envs = [SaveCheckpoints(tmp_path / "cut")], whole.experience.n_envs
        after = (seen.newest_at - 1) // n_envs  # an environment's steps before the newest that had an update

        def make() -> gym.Env[Any, Any]:
            made = _Fails(gym.make(self.env), after if len(envs) == 2 * n_envs - 1 else None)
            envs.append(made)
            return made

        envs: list[_Fails] = []
        try:
            self._train(self.make(seeds=(3, 4)), env=make, callbacks=saving)
        except _BrokenError:
            pass
        else:
            raise AssertionError("the error of the environment is lost")
        self._train(self.make(seeds=(3, 4)), callbacks=saving, resume=tmp_path / "cut")
        for seed in ("seed3", "seed4"):
            assert _digests(tmp_path / "cut" / seed / "final") == _digests(tmp_path / "whole" / seed / "final")

    def _train(self, agent: Agent, **more: Any) -> TrainResult:
        arguments = {"env": self.env, "n_steps": self.n_steps, "progress_bar": False, "summary": False, **more}
        return agent.train(batch_size=self.batch_size, **arguments)


class _BrokenError(Exception):
    """Error of a broken environment."""


class _Fails(gym.Wrapper[Any, Any, Any, Any]):
    """Fail after so many steps, if ever."""

    def __init__(self, env: gym.Env[Any, Any], after: int | None) -> None:
        super().__init__(env)
        self.left = after

    def step(self, action: Any) -> Any:
        if self.left is not None:
            if self.left == 0:
                raise _BrokenError
            self.left -= 1
        return self.env.step(action)


class _Seen(Callback):
    """Count what happens, and keep what the newest update reported, and in which step that was."""

    def __init__(self) -> None:
        self.updates = self.steps = self.newest_at = 0
        self.metrics: Metrics = {}

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Metrics, batch: Any, batch_idx: int) -> None:
        self.updates, self.metrics, self.newest_at = self.updates + 1, outputs, trainer.step

    def on_before_optimizer_step(self, trainer: Any, agent: Any, optimizer: Any) -> None:
        self.steps += 1


def _refused(error: type[VeloraError], action: Callable[[], object]) -> None:
    said = None
    try:
        action()
    except error as caught:
        said = str(caught)
    assert said is not None, f"expected {error.__name__}"
    assert "\n" not in said, said


def _parameters(agent: Agent) -> dict[str, torch.Tensor]:
    return {
        f"{net}.{name}": parameter.detach().clone()
        for net in agent.learning_rates()
        for name, parameter in agent.networks[net].named_parameters()
    }


def _digests(checkpoint: Path) -> dict[str, str]:
    return {name: info.sha256 for name, info in Checkpoint.open(checkpoint).metadata.files.items()}
