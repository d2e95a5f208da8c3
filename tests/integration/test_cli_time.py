"""Partial observation and irregular time on the command line: train, evaluate, resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from velora.checkpoint import Checkpoint
from velora.cli.command.compose import config_dir
from velora.envs.wrappers import KNOWN
from velora.envs.wrappers.drop_observation import VELOCITIES
from velora.metrics import queries
from velora.models import LiquidDDPG

Command = Any
TINY = [
    "agent.n_neurons=5", "train.seed=0", "train.batch_size=8", "train.evaluation_episodes=2", "device=cpu",
    "train.progress_bar=false", "train.summary=false", "agent.warmup_steps=20", "agent.sequence_length=2",
    "checkpoint.frequency=1",
]  # fmt: skip
MILDER: dict[str, dict[str, Any]] = {"time": {"hold": [4, 8]}, "noise": {"std": 0.01}, "flicker": {"probability": 0.1}}
"""Options that take the place of those of the files in ``conf/env``."""
FILES = {row.group: sorted((config_dir() / "env" / row.group).glob("*.yaml"))[0] for row in KNOWN.values()}
"""The first file of every group that puts a wrapper around the environment, from the inside out."""
HARDER = [
    "env=pendulum",
    *(f"env/{group}={file.stem}" for group, file in FILES.items()),
    *(f"env.{group}.{name}={value}" for group, own in MILDER.items() for name, value in own.items()),
]
WRAPPERS = [
    {"name": name, "kwargs": {k: v for k, v in options.items() if k != row.switch}}
    for name, row in KNOWN.items()
    for options in [{**yaml.safe_load(FILES[row.group].read_text()), **MILDER.get(row.group, {})}]
]


def record(command: Command, *words: str) -> dict[str, Any]:
    outcome = command("evaluate", *words)
    assert outcome.code == 0, outcome.err
    found: dict[str, Any] = json.loads(outcome.out.splitlines()[-1])
    return found


def refused(command: Command, *words: str) -> str:
    outcome = command(*words)
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    return str(line)


@pytest.fixture
def home(tmp_path: Path, command: Command) -> Path:
    """Train two episodes of everything at once."""
    outcome = command("train", *HARDER, *TINY, "train.n_episodes=2", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    return tmp_path


@pytest.mark.slow
def test_a_harder_environment_is_trained_in_evaluated_and_resumed(home: Path, command: Command) -> None:
    final = home / "run" / "checkpoints" / "final"
    environment = Checkpoint.open(final).metadata.environment
    assert environment is not None
    assert environment["wrappers"] == WRAPPERS
    (row,) = queries.experiments(home / "run")
    assert row.run_settings["env.time.hold"] == [4, 8]
    assert row.run_settings["env.previous.action_reward"] is True
    agent = LiquidDDPG.load(final, buffer=True)
    assert agent.settings.state_dim == 2 + 1 + 1
    held = agent.buffer._rows[0, : agent.buffer.size(0)][:, agent.buffer._columns["next_dt"]]
    assert set(held.ravel().tolist()) == {4.0, 8.0}

    saved = record(command, "checkpoint=run/checkpoints/final", "episodes=2")
    assert record(command, "checkpoint=run", "episodes=2", "env=pendulum")["returns"] == saved["returns"]
    longer = ["env/time=irregular", "env.time.hold=[20]"]
    assert record(command, "checkpoint=run", "episodes=2", *longer)["returns"] != saved["returns"]
    line = refused(command, "evaluate", "checkpoint=run", "env/mask=none")
    assert line == "velora evaluate: Pendulum-v1: observations have 5 numbers, the agent expects state_dim=4"
    line = refused(command, "evaluate", "checkpoint=run", "env.time.hold=[20]")
    assert line == "velora evaluate: env.time.hold: not part of the settings yet; choose env/time=... as well"

    line = refused(command, "train", "resume=run", "env/time=none")
    assert line.startswith("velora train: env/time: can't change when a run is resumed")
    assert command("train", "resume=run", "train.n_episodes=4").code == 0
    whole = command("train", *HARDER, *TINY, "train.n_episodes=4", "hydra.run.dir=whole")
    assert whole.code == 0, whole.err
    files = [Checkpoint.open(home / name / "checkpoints" / "ep4").metadata.files for name in ("run", "whole")]
    assert files[0] == files[1]
    assert OmegaConf.load(home / "run" / "config.yaml").env.time.hold == [4, 8]


def test_several_seeds_have_a_harder_environment_each(tmp_path: Path, command: Command) -> None:
    more = ["train.seed=null", "train.seeds=[0,1]", "train.n_episodes=1", "hydra.run.dir=run"]
    assert command("train", *HARDER, *TINY, *more).code == 0
    for seed in (0, 1):
        environment = Checkpoint.open(tmp_path / "run" / "checkpoints" / f"seed{seed}" / "final").metadata.environment
        assert environment is not None
        assert environment["wrappers"] == WRAPPERS


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["env.mask.drop=[9]"],
         "env.mask.drop: expected velocity, or a list of positions from 0 to 2, but not all of them, got [9]"),
        (["env/time=irregular", "env.time.hold=[0]"],
         "env.time.hold: expected a list of whole numbers from 1 to 10,000, such as [1,2,3,4], got [0]"),
        (["env.time.hold=4"], "env.time.hold: expected a list or null, got '4'"),
        (["env/noise=gaussian", "env.noise.std=loud"],
         "env.noise.std: expected a deviation of at least 0, or one for each of 3 components, got 'loud'"),
        (["env.mask.drop=true"],
         "env.mask.drop: expected velocity, or a list of positions from 0 to 2, but not all of them, got True"),
        (["env.noise.std=true"],
         "env.noise.std: expected a deviation of at least 0, or one for each of 3 components, got True"),
        (["env.time.order=cycle"],
         "env.time.order: says nothing without env.time.hold; give that too, or choose one with env/time=..."),
        (["env.flicker.probability=2"], "env.flicker.probability: expected a number from 0 to 1, got 2.0"),
        (["env/mask=speed"], "env/mask=speed: no such choice; choose one of none, velocity"),
        (["env.id=BipedalWalker-v3", "env/mask=velocity"],
         (f"env.mask.drop: the velocities of BipedalWalker aren't known, only those of {', '.join(VELOCITIES)}; "
         "give the positions to drop, such as [2]")),
    ],
)  # fmt: skip
@pytest.mark.some(4)
def test_a_mistake_is_one_line(words: list[str], line: str, command: Command) -> None:
    assert refused(command, "train", *words) == f"velora train: {line}"


def test_a_wrapper_that_is_not_known_is_never_imported(home: Path, command: Command) -> None:
    final = home / "run" / "checkpoints" / "final"
    agent = LiquidDDPG.load(final)
    assert agent.environment is not None
    agent.environment["wrappers"] = [{"name": "os.system", "kwargs": {}}]
    agent.save(home / "forged")
    line = refused(command, "evaluate", "checkpoint=forged")
    assert f"forged: environment: this version has no wrapper 'os.system', only {', '.join(KNOWN)}" in line


@pytest.mark.slow
def test_a_cell_without_a_gate_for_the_time_is_named(command: Command) -> None:
    harder = ["env=pendulum", "env/time=irregular", "train.n_steps=25", *TINY]
    said = "agent.cell: gru has no gate for the time, so the agent isn't told how long its steps take"
    told = [
        command("train", *harder, *words) for words in (["agent.cell=gru"], ["agent.cell=gru", "agent.time=input"], [])
    ]
    assert [done.code for done in told] == [0, 0, 0]
    assert [said in done.out + done.err for done in told] == [True, False, False]


def test_a_run_that_is_refused_at_its_first_step_leaves_nothing(tmp_path: Path, command: Command) -> None:
    """That an environment doesn't tell the time shows only when it steps; the run's directory was made by then."""
    line = refused(command, "train", "env=pendulum", "agent.time=input", *TINY, "train.n_steps=40", "hydra.run.dir=run")
    assert 'gave no info["dt"] at a step' in line
    assert not (tmp_path / "run").exists()
    line = refused(command, "train", "resume=run")
    assert "run does not exist" in line
