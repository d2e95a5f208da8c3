"""Functions at hooks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.callbacks.small_run import train
from velora.callbacks import Lambda
from velora.core.errors import SettingError


def test_functions_are_called_with_what_the_hook_gets() -> None:
    told: list[Any] = []
    train(
        Lambda(
            on_train_start=lambda trainer, agent: told.append(agent.key),
            on_episode_end=lambda trainer, agent, episode: told.append((trainer.episode, episode.length)),
        ),
        n_episodes=2,
    )
    assert told == ["liquid_ddpg", (1, 6), (2, 6)]


def test_two_of_them_in_one_run() -> None:
    told: list[str] = []
    train(Lambda(on_fit_end=lambda *_: told.append("a")), Lambda(on_fit_end=lambda *_: told.append("b")), n_episodes=1)
    assert told == ["a", "b"]


@pytest.mark.parametrize(
    ("hooks", "complaint"),
    [
        ({}, "expected functions by the names of hooks"),
        ({"on_epsiode_end": print}, "lambda.on_epsiode_end: there is no such hook; did you mean on_episode_end"),
        ({"on_episode_end": 3}, "expected a function, got 3"),
        ({"on_episode_end": lambda trainer: None}, r"must take \(trainer, agent, episode\)"),
    ],
)
def test_mistakes(hooks: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        Lambda(**hooks)
