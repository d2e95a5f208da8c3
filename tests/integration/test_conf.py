"""Every file of conf/ composes, builds what it names, and says the same as the code."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from benchmarks.learning import arms
from benchmarks.learning.studies import STUDIES
from benchmarks.learning.tasks import TASKS
from velora.callbacks import EarlyStopping, SaveCheckpoints
from velora.cli import run_directory, schema
from velora.cli.check import check
from velora.cli.environment import chosen_wrappers, make_environment, merged
from velora.cli.hydra_versions import VERSION_BASE
from velora.cli.launch import config_dir
from velora.cli.objects import make_agent, make_callbacks, make_loggers
from velora.envs import describe, dimensions
from velora.envs.wrappers import KNOWN
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

CONF = config_dir()
AGENTS = {"liquid_ddpg": LiquidDDPG, "liquid_ppo": LiquidPPO, "liquid_sac": LiquidSAC, "liquid_td3": LiquidTD3}
GROUPS = ("agent", "env", "device", "checkpoint", "train", "callbacks", "logger", "experiment")
HARDER = ("env/time", "env/mask", "env/noise", "env/flicker", "env/previous")
"""Groups that put wrappers around the environment, from the inside out."""
DIMENSIONS = {
    "pendulum": (3, 1),
    "inverted_pendulum": (4, 1),
    "inverted_double_pendulum": (9, 1),
    "half_cheetah": (17, 6),
    "hopper": (11, 3),
    "walker2d": (17, 6),
    "mountain_car_continuous": (2, 1),
    "lunar_lander_continuous": (8, 2),
    "cartpole": (4, 2),
}
DISCRETE = ("cartpole",)


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.fixture(autouse=True)
def hydra_is_ready() -> Iterator[None]:
    schema.register()
    run_directory.register_resolvers()
    with initialize_config_dir(str(CONF), **VERSION_BASE):
        yield


def settings(*words: str, name: str = "train") -> DictConfig:
    cfg = compose(name, list(words))
    if name == "train":
        check(cfg)
    return cfg


@pytest.mark.parametrize("choice", [f"{group}={option}" for group in (*GROUPS, *HARDER) for option in options(group)])
def test_every_file_composes_and_says_what_it_is_for(choice: str) -> None:
    settings(choice)
    first = (CONF / f"{choice.replace('=', '/')}.yaml").read_text().splitlines()[:2]
    assert any(line.startswith("# ") and not line.startswith("# @") for line in first)


@pytest.mark.parametrize(
    ("env_name", "name"),
    [
        (e, name)
        for e in options("env")
        for name in (("liquid_ppo", "liquid_sac") if e in DISCRETE else ("liquid_ddpg",))
    ],
)
def test_every_environment_takes_the_agent_that_it_is_for(env_name: str, name: str) -> None:
    cfg = settings(f"env={env_name}", f"agent={name}")
    env = make_environment(cfg.env.id, {})
    try:
        agent = make_agent(cfg.agent, env, device=torch.device("cpu"), kernel="auto", seeds=(0,))
        assert isinstance(agent, AGENTS[name])
        assert agent.discrete == (env_name in DISCRETE)
        assert dimensions(env) == DIMENSIONS[env_name] == (agent.settings.state_dim, agent.settings.action_dim)
    finally:
        env.close()
    recommended = cfg.env.recommended
    assert (cfg.train.n_episodes, cfg.train.n_steps) == (recommended.n_episodes, recommended.n_steps)
    assert cfg.train.n_episodes >= 2 * cfg.checkpoint.frequency
    if recommended.n_steps is None:  # episodes alone are a budget where they all have the same length
        assert env_name == "pendulum"
    else:
        assert recommended.n_steps >= 10 * cfg.agent.get("warmup_steps", cfg.agent.get("rollout_steps"))


VELOCITIES = {
    "pendulum": 1, "inverted_pendulum": 2, "inverted_double_pendulum": 3, "half_cheetah": 9, "hopper": 6, "walker2d": 9,
    "mountain_car_continuous": 1, "lunar_lander_continuous": 3, "cartpole": 2,
}  # fmt: skip


@pytest.mark.parametrize("env_name", options("env"))
def test_every_environment_can_be_made_harder(env_name: str) -> None:
    harder = ["env/time=irregular", "env/noise=gaussian", "env/flicker=half", "env/previous=action_reward"]
    cfg = settings(f"env={env_name}", "env/mask=velocity", *harder)
    env = make_environment(cfg.env.id, {}, wrappers=merged([], chosen_wrappers(cfg.env)))
    try:
        state_dim, action_dim = DIMENSIONS[env_name]
        assert dimensions(env) == (state_dim - VELOCITIES[env_name] + action_dim + 1, action_dim)
        assert [one["name"] for one in describe(env)["wrappers"]] == list(KNOWN)
    finally:
        env.close()


def test_nothing_is_made_harder_by_default() -> None:
    assert merged([], chosen_wrappers(settings().env)) == []


@pytest.mark.parametrize(("group", "kind"), list(zip(HARDER, KNOWN.values(), strict=True)))
def test_the_wrapper_files_hold_what_the_wrappers_take(group: str, kind: type) -> None:
    expected = [name for name in inspect.signature(kind).parameters if name != "env"] or ["action_reward"]
    for option in options(group):
        assert list(OmegaConf.load(CONF / group / f"{option}.yaml")) == expected
    (own,) = [f for f in dataclasses.fields(schema.EnvSchema) if f"env/{f.name}" == group]
    assert isinstance(own.default_factory, type)
    assert [field.name for field in dataclasses.fields(own.default_factory)] == expected


def test_chosen_wrappers_take_the_place_of_saved_ones() -> None:
    names = ("HoldAction", "DropObservation", "Flicker")
    time, mask, flicker = (dict[str, Any](name=name, kwargs={}) for name in names)
    noise, other = (dict[str, Any](name="NoisyObservation", kwargs={"std": std}) for std in (1.0, 2.0))
    saved = [time, noise, flicker]
    assert merged(saved, {}) == saved
    assert merged(saved, {"NoisyObservation": other}) == [time, other, flicker]
    assert merged(saved, {"NoisyObservation": None, "DropObservation": mask}) == [time, mask, flicker]
    assert merged([flicker], {"HoldAction": time, "Flicker": None}) == [time]


@pytest.mark.parametrize("name", options("callbacks"))
def test_every_callbacks_file_builds(name: str, tmp_path: Path) -> None:
    target = ["callbacks.early_stopping.target=-200"] if name == "early_stopping" else []
    cfg = settings(f"callbacks={name}", *target)
    made = make_callbacks(cfg.callbacks, cfg.checkpoint, tmp_path)
    assert [type(callback) for callback in made] == [EarlyStopping] * len(target) + [SaveCheckpoints]


def test_no_checkpoints_means_no_callback(tmp_path: Path) -> None:
    cfg = settings("checkpoint=none")
    assert make_callbacks(cfg.callbacks, cfg.checkpoint, tmp_path) == []


@pytest.mark.parametrize("name", options("logger"))
def test_every_logger_builds_and_writes_in_the_run_directory(name: str, tmp_path: Path) -> None:
    for logger in make_loggers(settings(f"logger={name}").logger, tmp_path):
        assert Path(logger.log_dir).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_agent_has_a_file() -> None:
    assert sorted(AGENTS) == options("agent")


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_s_file_holds_the_constructor_s_defaults(name: str) -> None:
    defaults = {
        setting: parameter.default
        for setting, parameter in inspect.signature(AGENTS[name]).parameters.items()
        if parameter.default is not parameter.empty
        and setting
        not in (
            "device",
            "kernel",
            "seed",
            "seeds",
            "discrete",
        )
    }
    file = OmegaConf.to_container(settings(f"agent={name}").agent, resolve=True)  # the default env recommends none
    assert isinstance(file, dict)
    assert file.pop("_target_") == f"velora.models.{AGENTS[name].__name__}"
    assert file.pop("n_neurons") == 20
    assert {key: tuple(value) if isinstance(value, list) else value for key, value in file.items()} == defaults


def test_the_train_file_holds_what_train_takes() -> None:
    own = {"env", "self", "callbacks", "logger", "run_dir", "resume", "threads"}
    expected = set(inspect.signature(Agent.train).parameters) - own
    assert {field.name for field in dataclasses.fields(schema.TrainSchema)} - {"seed", "seeds"} == expected


def test_the_checkpoint_file_holds_what_save_checkpoints_takes() -> None:
    expected = set(inspect.signature(SaveCheckpoints).parameters) - {"directory"}
    assert {field.name for field in dataclasses.fields(schema.CheckpointSchema)} == expected


def test_the_early_stopping_file_holds_what_early_stopping_takes() -> None:
    cfg: Any = OmegaConf.load(CONF / "callbacks" / "early_stopping.yaml")
    parameters = inspect.signature(EarlyStopping).parameters.items()
    assert cfg.early_stopping == {
        "_target_": "velora.callbacks.EarlyStopping",
        **{name: parameter.default for name, parameter in parameters},
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["env=inverted_pendulum"], (5000, 20_000)),
        (["env=inverted_pendulum", "train.n_episodes=7", "train.n_steps=70"], (7, 70)),
        (["env=inverted_pendulum", "env.recommended.n_steps=8"], (5000, 8)),
        (["experiment=balance"], (5000, 20_000)),
        (["experiment=neurons"], (10_000, 15_000)),
    ],
)
def test_the_command_line_wins_over_what_an_environment_recommends(words: list[str], expected: tuple[int, int]) -> None:
    cfg = settings(*words)
    assert (cfg.train.n_episodes, cfg.train.n_steps) == expected


def test_the_recommended_budget_is_long_enough_for_what_the_benchmarks_promise() -> None:
    for task in (task for task in TASKS.values() if task.n_neurons == 20):  # the default size
        cfg = settings(f"env={'pendulum' if task.env == 'Pendulum-v1' else 'inverted_pendulum'}")
        assert (cfg.train.n_steps or 200 * cfg.train.n_episodes) >= task.within_steps


@pytest.mark.parametrize(
    ("experiment", "study", "arm"),
    [
        ("memory", "Pendulum, positions", "LiquidTD3, cfc"),
        ("memory_discrete", "CartPole, positions", "LiquidPPO, cfc"),
        ("irregular_time", "Pendulum, irregular time", "cfc, mixed memory, dt in the gate"),
    ],
)
def test_experiments_that_the_benchmarks_speak_for_are_set_up_as_these_are(
    experiment: str, study: str, arm: str
) -> None:
    task, cfg = STUDIES[study], settings(f"experiment={experiment}")
    (ours,) = (one for one in task.arms if one.name == arm)
    assert (cfg.env.id, cfg.train.batch_size, cfg.train.n_steps) == (task.env, ours.batch_size, task.n_steps)
    chosen = {one["name"]: one["kwargs"] for one in chosen_wrappers(cfg.env).values() if one is not None}
    named = {one["name"]: one["kwargs"] for one in task.wrappers}
    assert {name: {k: v for k, v in kwargs.items() if k in named[name]} for name, kwargs in chosen.items()} == named
    seen = OmegaConf.to_container(cfg.agent, resolve=True)
    agent = arms.build(task, ours, (0,))
    assert isinstance(seen, dict)
    for name, value in agent.settings_dict().items():
        if name in seen:
            assert seen[name] == value, name


def test_no_file_recommends_the_package_of_this_name_on_an_index() -> None:
    for path in CONF.rglob("*.yaml"):
        assert "velora[" not in path.read_text()


def test_the_default_command_is_eight_thousand_steps_of_pendulum() -> None:
    cfg = settings()
    assert (cfg.env.id, cfg.train.n_episodes, cfg.train.n_steps, cfg.train.seed) == ("Pendulum-v1", 40, None, None)


def test_evaluate_composes() -> None:
    cfg = settings("checkpoint.path=somewhere", name="evaluate")
    check(cfg)
    assert (cfg.env.id, cfg.episodes) == (None, 10)
    assert settings("env=hopper", name="evaluate").env.id == "Hopper-v5"


def test_run_directories_never_meet() -> None:
    directories = {compose("train", return_hydra_config=True).hydra.run.dir for _ in range(5)}
    assert len(directories) == 5
    cfg = compose("train", return_hydra_config=True)
    assert cfg.hydra.run.dir == cfg.hydra.run.dir
