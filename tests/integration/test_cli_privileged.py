"""Critics that see more on the command line: train, go on, evaluate, export what acts, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from velora.export.describe import describe
from velora.models import LiquidTD3

Command = Callable[..., Any]
SMALL = ("agent=liquid_td3", "agent.warmup_steps=20", "train.batch_size=8", "device=cpu", "train.progress_bar=false")


@pytest.mark.slow
def test_train_go_on_and_evaluate(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "env=pendulum", "env/mask=velocity", "env/privileged=state", f"hydra.run.dir={run}")
    done = command(*words, "train.n_steps=40", "train.evaluation_episodes=1", *SMALL)
    assert done.code == 0, done.err
    on = command("train", f"resume={run}", "train.n_steps=60")
    assert on.code == 0, on.err
    agent = LiquidTD3.load(run / "checkpoints" / "final", buffer=True)
    assert agent.settings.state_dim == 2
    assert agent.privileged == 3
    assert agent.buffer.size(0) == 60
    assert agent.environment is not None
    assert [one["name"] for one in agent.environment["wrappers"]] == ["PrivilegedState", "DropObservation"]
    evaluated = command("evaluate", f"checkpoint={run}", "episodes=1")
    assert evaluated.code == 0, evaluated.err
    assert "critics see none" not in evaluated.err
    assert len(json.loads(evaluated.out.splitlines()[-1])["returns"]) == 1
    policy = describe(agent)
    assert policy.n_observations == 2


def test_an_environment_that_gives_no_state_is_refused_in_a_line(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("train", "env=pendulum", f"hydra.run.dir={run}", "agent.privileged=7")
    refused = command(*words, *SMALL)
    assert refused.code == 2
    assert 'environment 0: gave no info["state"] at reset, and the agent has privileged=7' in refused.err
    assert not (run / "config.yaml").exists()
    refused = command(*words, "env/privileged=state", *SMALL)
    assert refused.code == 2
    assert 'info["state"] has 3 numbers, the agent expects privileged=7' in refused.err
    assert not run.exists()
