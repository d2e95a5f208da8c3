"""Words of a search where there is no search: the line names the command that has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.mark.parametrize("multirun", [(), ("-m",)])
def test_training_with_a_range_names_the_search(command: Command, multirun: tuple[str, ...]) -> None:
    refused = command("train", *multirun, "agent.actor_lr=interval(1e-5,1e-2)", "train.n_steps=300")
    assert refused.code == 2
    assert refused.err == (
        "velora train: agent.actor_lr: interval(1e-5,1e-2) is no value but a range to search; search with: "
        "velora tune 'agent.actor_lr=interval(1e-5,1e-2)' train.n_steps=300\n"
    )


def test_a_sweeper_that_would_minimise_is_refused(command: Command, tmp_path: Path) -> None:
    refused = command(
        "train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=20", "agent.n_neurons=choice(10,20)"
    )
    assert refused.code == 2
    assert refused.err.endswith("search with: velora tune trials=20 'agent.n_neurons=choice(10,20)'\n")
    assert refused.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
