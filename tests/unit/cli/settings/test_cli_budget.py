from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from velora.cli.command.arguments import Arguments
from velora.cli.settings.budget import count_alone, doubled, implied


@pytest.mark.parametrize(
    ("words", "added"),
    [
        (["env=hopper"], []),
        (["train.n_episodes=300"], ["train.n_steps=null"]),
        (["train.n_episodes=10,20"], ["train.n_steps=null"]),
        (["++train.n_episodes=300"], ["train.n_steps=null"]),
        (["train.n_steps=5000"], ["train.n_episodes=${train.n_steps}"]),
        (["train.n_episodes=300", "train.n_steps=5000"], []),
        (["train.n_episodes=300", "train.n_steps=null"], ["train.n_steps=null"]),
        (["train.n_steps=null"], []),
        (["train.n_steps=0"], []),
        (["~train.n_steps"], []),
    ],
)
def test_a_budget_on_the_command_line_counts_alone(words: list[str], added: list[str]) -> None:
    assert count_alone(Arguments.parse(words)).overrides == (*words, *added)


@pytest.mark.parametrize(
    ("n_episodes", "n_steps", "episode", "step", "expected"),
    [
        (30, None, 30, 6000, "train.n_episodes=60"),
        (5000, 20000, 250, 20000, "train.n_steps=40000"),
        (300, 20000, 300, 6700, "train.n_episodes=600"),
        (300, 20000, 30, 1900, "train.n_episodes=600"),
    ],
)
def test_the_budget_that_ended_the_run_is_doubled(
    n_episodes: int, n_steps: int | None, episode: int, step: int, expected: str
) -> None:
    cfg = OmegaConf.create({"train": {"n_episodes": n_episodes, "n_steps": n_steps}})
    assert doubled(cfg, episode=episode, step=step) == expected


@pytest.mark.parametrize(
    ("n_episodes", "n_steps", "expected"),
    [(500, 500, "train.n_episodes"), (300, None, "train.n_steps"), (30, 500, None)],
)
def test_the_budget_that_the_other_one_brings_needs_no_word(
    n_episodes: int, n_steps: int | None, expected: str | None
) -> None:
    assert implied({"train.n_episodes": n_episodes, "train.n_steps": n_steps, "agent.tau": 0.1}) == expected
    assert implied({"train.n_episodes": n_episodes}) is None
