"""Evaluating and plotting from the command line, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from velora.models import LiquidDDPG

Command = Callable[..., Any]


@pytest.fixture
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save an agent that was trained for one episode of Pendulum-v1."""
    agent = LiquidDDPG(3, 3, 1, warmup_steps=190, seed=0, device="cpu")
    agent.train("Pendulum-v1", 4, n_episodes=1, progress_bar=False, summary=False)
    return agent.save(tmp_path_factory.mktemp("saved") / "ep1")


def record(outcome: Any) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err
    return dict(json.loads(outcome.out.splitlines()[-1]))


def test_the_episodes_are_fixed_unless_a_seed_chooses_others(command: Command, checkpoint: Path) -> None:
    words = ("evaluate", f"checkpoint={checkpoint}", "episodes=3")
    first, again, others = (record(command(*words, *more)) for more in ((), (), ("seed=0",)))
    assert first == again
    assert first["environment"] == "Pendulum-v1"
    assert others["returns"] != first["returns"]
    assert record(command(*words, "seed=0")) == others


def test_watching_changes_nothing(command: Command, checkpoint: Path) -> None:
    words = ("evaluate", f"checkpoint={checkpoint}", "episodes=2")
    assert record(command(*words, "render=rgb_array"))["returns"] == pytest.approx(record(command(*words))["returns"])


def test_the_environment_and_its_keywords_can_be_changed(command: Command, checkpoint: Path) -> None:
    words = ("evaluate", f"checkpoint={checkpoint}", "episodes=1")
    as_trained = record(command(*words))
    lighter = record(command(*words, "+env.kwargs.g=1.0"))
    assert lighter["mean"] != as_trained["mean"]
    assert record(command(*words, "env=pendulum", "+env.kwargs.g=1.0")) == lighter


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["env=inverted_pendulum"], "observations have 4 numbers, the agent expects state_dim=3"),
        (["seed=-1"], "seed: expected a whole number"),
        (["env.id=Pendulm-v1"], "did you mean 'Pendulum-v1'?"),
        (["device.threads=0"], "device.threads: expected at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(command: Command, checkpoint: Path, words: list[str], expected: str) -> None:
    code, out, err = command("evaluate", f"checkpoint={checkpoint}", *words)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_a_checkpoint_imports_no_module(command: Command, tmp_path: Path) -> None:
    (tmp_path / "never_imported.py").write_text("raise AssertionError('imported')")
    agent = LiquidDDPG(3, 3, 1, device="cpu")
    agent.environment = {"id": "never_imported:Pendulum-v1", "kwargs": {}}
    path = agent.save(tmp_path / "ep1")
    code, _, err = command("evaluate", f"checkpoint={path}")
    assert code == 2
    assert "would import a module; if you trust it, add env.id=never_imported:Pendulum-v1" in err


@pytest.mark.parametrize("has_settings", [True, False])
def test_an_environment_that_a_module_registers_is_asked_for(
    command: Command, tmp_path: Path, has_settings: bool
) -> None:
    agent = LiquidDDPG(3, 3, 1, device="cpu")
    agent.environment = {"id": "CartPoleOfMine-v0", "kwargs": {}}
    path = agent.save(tmp_path / "run" / "checkpoints" / "final")
    if has_settings:
        (tmp_path / "run" / "config.yaml").write_text("env:\n  id: my_module:CartPoleOfMine-v0\n")
    code, _, err = command("evaluate", f"checkpoint={path}")
    assert code == 2
    assert f"{path}: nothing registers its environment 'CartPoleOfMine-v0' here" in err
    trusted = "if you trust it, add" if has_settings else "name the module that does:"
    assert err.endswith(f"{trusted} env.id=my_module:CartPoleOfMine-v0\n")


def test_an_agent_that_was_never_trained_needs_an_environment(command: Command, tmp_path: Path) -> None:
    path = LiquidDDPG(3, 3, 1, device="cpu").save(tmp_path / "ep1")
    code, _, err = command("evaluate", f"checkpoint={path}")
    assert code == 2
    assert "names no environment; give one, such as env=pendulum" in err
    assert record(command("evaluate", f"checkpoint={path}", "env=pendulum", "episodes=1"))["returns"]


def test_plot_draws_runs(command: Command, tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 3, 1, warmup_steps=1000, device="cpu")
    agent.train("Pendulum-v1", 4, n_episodes=2, run_dir=tmp_path / "run", progress_bar=False, summary=False)
    code, out, _ = command("plot", "run", "out=pictures/curve.svg", "window=1", "title=A curve")
    assert (code, out) == (0, "pictures/curve.svg\n")
    assert "<svg" in (tmp_path / "pictures" / "curve.svg").read_text()


def test_a_first_word_is_the_checkpoint(command: Command, tmp_path: Path) -> None:
    for name in ("ep1", "n_neurons=20_ep1"):  # as directories of a sweep are named
        LiquidDDPG(3, 3, 1, device="cpu").save(tmp_path / name)
        assert record(command("evaluate", name, "env=pendulum", "episodes=1"))["checkpoint"] == name
    assert "nowhere" in command("evaluate", "nowhere").err
