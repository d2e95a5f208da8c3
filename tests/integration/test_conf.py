"""Every file of conf/ composes, builds what it names, and says the same as the code."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from lightning.pytorch.loggers.logger import DummyLogger
from omegaconf import DictConfig, OmegaConf

from benchmarks.learning import arms
from benchmarks.learning.studies import STUDIES
from benchmarks.learning.tasks import TASKS
from velora.callbacks import EarlyStopping, SaveCheckpoints
from velora.checkpoint.registry import agents
from velora.cli.command.compose import composing, config_dir
from velora.cli.settings import wrappers
from velora.cli.settings.instantiate import instantiate, locate_class, named_keywords
from velora.cli.settings.loggers import make_loggers
from velora.cli.settings.objects import (
    chosen_wrappers,
    make_agent,
    make_callbacks,
    make_environment,
    merged,
)
from velora.cli.settings.schema import check
from velora.envs import describe, dimensions
from velora.envs.wrappers import KNOWN
from velora.models.keywords import AGENTS
from velora.training.loggers.kinds import KINDS, named_kind_of

CONF = config_dir()
GROUPS = ("agent", "env", "device", "checkpoint", "train", "callbacks", "logger", "experiment")
HARDER = [f"env/{row.group}" for row in KNOWN.values()]
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
    with composing():
        yield


def settings(*words: str, name: str = "train") -> DictConfig:
    cfg = compose(name, list(words))
    if name == "train":
        check(cfg)
    return cfg


@pytest.mark.parametrize("choice", [f"{group}={option}" for group in (*GROUPS, *HARDER) for option in options(group)])
@pytest.mark.some(12)
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
@pytest.mark.some(4)
def test_every_environment_takes_the_agent_that_it_is_for(env_name: str, name: str) -> None:
    cfg = settings(f"env={env_name}", f"agent={name}")
    env = make_environment(cfg.env.id, {})
    try:
        agent = make_agent(cfg.agent, env, device=torch.device("cpu"), kernel="auto", seeds=(0,))
        assert isinstance(agent, agents.get(name))
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
@pytest.mark.some(3)
def test_every_environment_can_be_made_harder(env_name: str) -> None:
    cfg = settings(f"env={env_name}", *(f"{group}={options(group)[0]}" for group in HARDER))
    env = make_environment(cfg.env.id, {}, wrappers=merged([], chosen_wrappers(cfg.env)))
    try:
        state_dim, action_dim = DIMENSIONS[env_name]
        assert dimensions(env) == (state_dim - VELOCITIES[env_name] + action_dim + 1, action_dim)
        assert [one["name"] for one in describe(env)["wrappers"]] == list(KNOWN)
    finally:
        env.close()


def test_settings_can_be_sent_to_another_process() -> None:
    """As launchers do that run the jobs of a sweep elsewhere."""
    words = ["env/time=irregular", "env/previous=action_reward"]
    for name in ("train", "evaluate"):
        cfg = settings(*words, name=name)
        assert pickle.loads(pickle.dumps(cfg)) == cfg
    store = pickle.loads(pickle.dumps(ConfigStore.instance()))
    assert copy.deepcopy(store) is store
    assert store.load("env/time/none.yaml").node == {"hold": None, "order": None}


def test_a_configuration_that_was_loaded_is_a_copy() -> None:
    """The store itself is never copied, which Hydra does again and again."""
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    store.load("env/time/none.yaml").node.hold = [3]
    assert store.load("env/time/none.yaml").node.hold is None


def test_nothing_is_made_harder_by_default() -> None:
    assert merged([], chosen_wrappers(settings().env)) == []


def test_the_groups_below_env_are_what_the_wrappers_take() -> None:
    declared = {group.name: group for group in wrappers.GROUPS}
    assert list(declared) == [row.group for row in KNOWN.values()]
    for row in KNOWN.values():
        fields = dataclasses.fields(declared[row.group].schema)
        assert [field.name for field in fields] == [*([row.switch] if row.switch else []), *row.options]


def test_the_settings_of_wrappers_have_the_types_of_their_arguments() -> None:
    kinds = {
        f"{group.name}.{field.name}": field.type
        for group in wrappers.GROUPS
        for field in dataclasses.fields(group.schema)
    }
    assert kinds["time.hold"] == list[int] | None
    assert kinds["time.order"] == str | None
    assert kinds["mask.drop"] == kinds["noise.std"] == Any  # a number or a list; a text or a list
    assert kinds["flicker.probability"] == float | None
    assert kinds["previous.action_reward"] is bool


@pytest.mark.parametrize("group", HARDER)
@pytest.mark.some(3)
def test_a_wrapper_is_there_in_every_file_but_none(group: str) -> None:
    loader = GlobalHydra.instance().config_loader()
    choices = loader.get_group_options(group)
    assert choices == sorted([*options(group), "none"])
    for choice in choices:
        (described,) = [chosen_wrappers(settings(f"{group}={choice}").env)[name] for name in named(group)]
        assert (described is None) == (choice == "none")


def named(group: str) -> list[str]:
    return [name for name, row in KNOWN.items() if f"env/{row.group}" == group]


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
@pytest.mark.some(4)
def test_a_callbacks_file_holds_the_constructors_defaults(name: str) -> None:
    for entry, node in settings(f"callbacks={name}").callbacks.items():
        parameters = inspect.signature(locate_class(f"callbacks.{entry}", node)).parameters.items()
        assert {key: value for key, value in node.items() if key != "_target_"} == {
            key: None if parameter.default is parameter.empty else parameter.default for key, parameter in parameters
        }


def test_callbacks_are_built_and_the_one_that_saves_is_the_last(tmp_path: Path) -> None:
    cfg = settings("callbacks=early_stopping", "callbacks.early_stopping.target=-200")
    made = make_callbacks(cfg.callbacks, cfg.checkpoint, tmp_path)
    assert [type(callback) for callback in made] == [EarlyStopping, SaveCheckpoints]


def test_no_checkpoints_means_no_callback(tmp_path: Path) -> None:
    cfg = settings("checkpoint=none")
    assert make_callbacks(cfg.callbacks, cfg.checkpoint, tmp_path) == []


@pytest.mark.parametrize("name", options("logger"))
@pytest.mark.some(3)
def test_a_loggers_file_names_the_class_of_its_kind_and_settings_that_it_takes(name: str, tmp_path: Path) -> None:
    for entry, node in settings(f"logger={name}").logger.items():
        kind = KINDS[entry]
        assert named_kind_of(locate_class(entry, node)) is kind
        if any(map(importlib.util.find_spec, kind.needs)) or not kind.needs:
            (plan,) = make_loggers(settings(f"logger={name}").logger, tmp_path, group="mine")
            assert (plan.label, plan.kind.name, plan.group) == (f"logger.{entry}", entry, "mine")
        named, takes_any = named_keywords(locate_class(entry, node))
        own = {key for key in node if not key.startswith("_")} - {"log_model"}
        assert takes_any or own <= named
    assert list(tmp_path.iterdir()) == []


def test_every_kind_of_logger_has_a_file() -> None:
    assert sorted(["none", *KINDS]) == options("logger")


def test_several_loggers_are_chosen_as_a_list(tmp_path: Path) -> None:
    cfg = settings("logger=[csv,tensorboard]").logger
    assert [plan.kind.name for plan in make_loggers(cfg, tmp_path)] == ["csv", "tensorboard"]


def test_a_logger_of_ones_own_gets_the_run_directory_only_if_it_names_it(tmp_path: Path) -> None:
    words = [f"+logger.{name}._target_={__name__}.{name}" for name in ("Named", "Unnamed")]
    named, unnamed = make_loggers(settings(*words).logger, tmp_path)
    assert named.save_dir == str(tmp_path)
    assert unnamed.kwargs == {}


class Named(DummyLogger):
    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self._save_dir = save_dir

    @property
    def save_dir(self) -> str:
        return self._save_dir


class Unnamed(DummyLogger):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.kwargs = kwargs


def test_every_agent_has_a_file() -> None:
    assert sorted(AGENTS) == options("agent")


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_of_the_command_line_is_that_of_the_constructor(name: str) -> None:
    cfg = settings(f"agent={name}").agent  # the default env recommends no other values
    expected = agents.get(name)(3, 20, 1, device="cpu", seed=0)
    agent = instantiate("agent", cfg, state_dim=3, action_dim=1, device="cpu", seed=0)
    assert type(agent) is agents.get(name)
    assert agent.settings == expected.settings


def test_settings_of_another_type_are_refused() -> None:
    with pytest.raises(ConfigCompositionException, match="burn_in"):
        settings("agent.burn_in=soon")


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
