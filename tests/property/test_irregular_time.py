"""Episodes with irregular time, noise and failing sensors are decided by their reset seed, wherever they are cut."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from velora.cli.command.compose import config_dir
from velora.envs import Environments
from velora.envs.wrappers import KNOWN, wrap

OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "HoldAction": st.fixed_dictionaries(
        {"hold": st.lists(st.integers(1, 6), min_size=1, max_size=4), "order": st.sampled_from(["random", "cycle"])}
    ),
    "DropObservation": st.just({"drop": "velocity"}),
    "NoisyObservation": st.fixed_dictionaries({"std": st.floats(0.0, 2.0)}),
    "Flicker": st.fixed_dictionaries({"probability": st.floats(0.0, 1.0)}),
    "PreviousActionReward": st.just({}),
    "PrivilegedState": st.just({}),
}


def options(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return options of a wrapper; of one that isn't listed above, those of its files in ``conf/env``."""
    if name in OPTIONS:
        return OPTIONS[name]
    files = sorted((config_dir() / "env" / KNOWN[name].group).glob("*.yaml"))
    return st.sampled_from([yaml.safe_load(file.read_text()) for file in files])


def described(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return options(name).map(lambda kwargs: {"name": name, "kwargs": kwargs})


CHOICES = st.tuples(*[st.none() | described(name) for name in KNOWN])


def make(wrappers: list[dict[str, Any]]) -> Environments:
    env = wrap(gym.make("Pendulum-v1"), wrappers)
    assert env.observation_space.shape is not None
    return Environments([env], obs_dim=env.observation_space.shape[0])


@settings(deadline=None, max_examples=40)
@given(
    choices=CHOICES, seed=st.integers(0, 2**31 - 1), before=st.integers(0, 25), after=st.integers(1, 8),
    other=st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_an_episode_goes_on_after_it_was_lived_again(
    choices: tuple[dict[str, Any] | None, ...], seed: int, before: int, after: int, other: int
) -> None:
    wrappers = [one for one in choices if one is not None]
    lived, again = make(wrappers), make(wrappers)
    actions = np.random.default_rng(seed).uniform(-2, 2, (before + after, 1)).astype(np.float32)
    again.reset(0, seed=other)
    again.step(0, actions[0].copy())  # whatever happened before
    lived.reset(0, seed=seed)
    steps = [lived.step(0, action.copy()) for action in actions[:before]]
    _, *repeated = again.replay(0, seed=seed, actions=actions[:before])
    assert np.array_equal(again.obs, lived.obs)
    assert [step[1:] for step in repeated] == [step[1:] for step in steps]
    for action in actions[before:]:
        one, other_one = lived.step(0, action.copy()), again.step(0, action.copy())
        assert one[1:] == other_one[1:]
        assert np.array_equal(again.obs, lived.obs)
        assert one.dt == int(one.dt) >= 1
