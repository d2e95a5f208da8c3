"""The log of an episode finds the first answer that isn't the same when the episode is lived again."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from velora.core.errors import CheckpointError
from velora.envs import Environments
from velora.training.action_log import MOST_KEPT, ActionLog, reset_again


class Told(gym.Env[Any, Any]):
    """Give the answers of a script: an observation for reset, (observation, reward, end, info) for every step."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, *answers: Any) -> None:
        self.answers, self.at, self.resets = answers, 0, 0

    def _answer(self) -> Any:
        answer = self.answers[self.at]
        self.at += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.at, self.resets = 0, self.resets + 1
        return np.asarray(self._answer(), np.float64), {}

    def step(self, action: Any) -> Any:
        obs, reward, end, info = self._answer()
        return np.asarray(obs, np.float64), reward, end == "terminated", end == "truncated", info


FIRST = (0.5, 0.25)
STEPS: tuple[Any, ...] = (((1.0, 2.0), 1.0, "", {}), ((1.5, 2.5), 1.0, "", {}), ((2.0, 3.0), 0.0, "", {}))


def lived(*answers: Any) -> ActionLog:
    """Log an episode of these answers."""
    envs, log = Environments([Told(*answers)], obs_dim=2), ActionLog()
    log.begin(7, envs.reset(0, seed=7))
    for number in range(1, len(answers)):
        action = np.full(1, number / 10, np.float32)
        log.add(action, envs.step(0, action.copy()))
    return log


def difference(log: ActionLog, *answers: Any) -> str | None:
    return log.replay(Environments([Told(*answers)], obs_dim=2), 0).difference


def changed(step: int, **parts: Any) -> tuple[Any, ...]:
    """Give the answers with one of them changed."""
    names = ("obs", "reward", "end", "info")
    answer = tuple(parts.get(name, was) for name, was in zip(names, STEPS[step - 1], strict=True))
    return FIRST, *STEPS[: step - 1], answer, *STEPS[step:]


def test_the_same_episode_is_the_same_and_ends_where_it_was() -> None:
    log, envs = lived(FIRST, *STEPS), Environments([Told(FIRST, *STEPS)], obs_dim=2)
    replay = log.replay(envs, 0)
    assert (replay.difference, replay.reward) == (None, 2.0)
    assert replay.newest.obs.tolist() == envs.obs[0].tolist() == [2.0, 3.0]
    assert len(log.digests) == 4


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (((0.5, 0.2500001), *STEPS), "its reset was answered differently"),
        (changed(2, obs=(1.5, np.nextafter(2.5, 3.0))), "step 2 of 3 was answered differently"),  # below float32
        (changed(1, reward=np.nextafter(1.0, 2.0)), "step 1 of 3 was answered differently"),
        (changed(1, info={"dt": 2.0}), "step 1 of 3 was answered differently"),
        (changed(2, end="truncated"), "step 2 of 3 was answered differently, with the episode's end"),
        (changed(3, end="terminated"), "step 3 of 3 was answered differently, with the episode's end"),
        ((FIRST, STEPS[0], OSError("no answer\nat all")), "step 2 of 3 raised OSError: no answer"),
        ((ValueError("no"),), "its reset raised ValueError: no"),
        ((FIRST, ((np.nan, 0.0), 1.0, "", {})), "step 1 of 3 raised NonFiniteError: environment 0: step gave the"),
    ],
)
def test_the_first_difference_is_named(answers: tuple[Any, ...], said: str) -> None:
    log = lived(FIRST, *STEPS)
    found = difference(log, *answers)
    assert found is not None
    assert found.startswith(said)
    assert "\n" not in found
    assert difference(log, FIRST, *STEPS) is None


def test_rewards_that_sum_up_to_the_same_are_not_the_same() -> None:
    swapped: Any = (FIRST, STEPS[0], (STEPS[1][0], 0.0, "", {}), (STEPS[2][0], 1.0, "", {}))
    assert difference(lived(FIRST, *STEPS), *swapped) == "step 2 of 3 was answered differently"


def test_a_difference_stays_one_when_all_that_follows_is_the_same() -> None:
    other = lived(*changed(1, obs=(1.0, 2.0000001)))
    assert all(a != b for a, b in zip(lived(FIRST, *STEPS).digests[1:], other.digests[1:], strict=True))


def test_it_is_saved_and_goes_on() -> None:
    log, again = lived(FIRST, *STEPS), ActionLog()
    again.load_state_dict(log.state_dict())
    assert (again.reset_seed, again.digests) == (7, log.digests)
    assert np.array_equal(np.stack(again.actions), np.stack(log.actions))
    longer = (FIRST, *STEPS, ((4.0, 5.0), 1.0, "truncated", {}))
    envs = Environments([Told(*longer)], obs_dim=2)
    again.replay(envs, 0)
    again.add(np.full(1, 0.4, np.float32), envs.step(0, np.full(1, 0.4, np.float32)))
    assert again.digests == lived(*longer).digests


def test_of_an_episode_that_has_ended_the_beginning_is_kept() -> None:
    log, again = lived(FIRST, *STEPS), ActionLog()
    again.load_state_dict(log.state_dict(2))
    assert (len(again.actions), again.digests) == (2, log.digests[:3])
    assert difference(again, *changed(3, reward=5.0)) is None
    again.load_state_dict(log.state_dict(MOST_KEPT))
    assert again.digests == log.digests


def test_whole_numbers_as_actions_stay_what_they_are() -> None:
    log, again = ActionLog(), ActionLog()
    envs = Environments([gym.make("CartPole-v1")], obs_dim=4)
    log.begin(3, envs.reset(0, seed=3))
    for action in np.array([1, 0, 1]):
        log.add(action, envs.step(0, action))
    again.load_state_dict(log.state_dict())
    assert [type(action) for action in again.actions] == [np.int64] * 3
    assert again.replay(envs, 0).difference is None


def test_a_log_of_an_older_version_takes_over_the_digests_that_are_found() -> None:
    log, old = lived(FIRST, *STEPS), ActionLog()
    old.load_state_dict({"actions": log.state_dict()["actions"]})
    assert (old.reset_seed, len(old.digests)) == (None, 0)
    old.reset_seed = 7
    replay = old.replay(Environments([Told(FIRST, *STEPS)], obs_dim=2), 0)
    assert (replay.difference, replay.reward, old.digests) == (None, 2.0, log.digests)
    old.digests = old.digests[:0]
    ended = "step 3 of 3 raised SpaceError: environment 0: its episode ended after 2 of the known steps"
    assert difference(old, *changed(2, end="terminated")) == ended


def test_parts_that_contradict_each_other_are_refused() -> None:
    state = lived(FIRST, *STEPS).state_dict()
    with pytest.raises(CheckpointError, match="expected 4 digests for 3 actions, found 2"):
        ActionLog().load_state_dict({**state, "digests": state["digests"][:2]})
    other = ActionLog()
    other.load_state_dict({**state, "digests": state["digests"] - 2**40})
    assert difference(other, FIRST, *STEPS) == "its reset was answered differently"


def test_two_resets_that_differ_are_told_once_and_a_watched_environment_has_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Drifts(Told):
        def reset(self, **settings: Any) -> Any:
            obs, info = super().reset(**settings)
            return obs + self.resets, info

    for env, said in ((Told(FIRST), 0), (Drifts(FIRST), 1)):
        caplog.clear()
        envs = Environments([env], obs_dim=2)
        with caplog.at_level(logging.WARNING):
            again = reset_again(envs, 0, seed=7, first=envs.reset(0, seed=7))
        assert env.resets == 2
        assert again.obs.tolist() == envs.obs[0].tolist()
        assert len(caplog.messages) == said
        assert all(m.startswith(f"{type(env).__name__}: two resets with the same seed gave") for m in caplog.messages)
    watched = Drifts(FIRST)
    watched.render_mode = "rgb_array"
    envs = Environments([watched], obs_dim=2)
    first = envs.reset(0, seed=7)
    assert reset_again(envs, 0, seed=7, first=first) is first
    assert watched.resets == 1
