from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from velora.cli.command.arguments import Arguments
from velora.cli.run import resume
from velora.core.errors import RunDirectoryError, SettingError

SAVED: dict[str, Any] = {
    "agent": {"_target_": "velora.models.LiquidDDPG", "n_neurons": 5},
    "env": {"id": "Pendulum-v1", "kwargs": {}},
    "device": {"name": "cpu", "threads": 1},
    "checkpoint": {"frequency": 1},
    "train": {"n_episodes": 3},
    "callbacks": {},
    "logger": {},
    "resume": None,
}


def saved(tmp_path: Path, **changes: Any) -> Path:
    OmegaConf.save(OmegaConf.create({**SAVED, **changes}), tmp_path / "config.yaml")
    return tmp_path


def test_output_goes_to_the_run(tmp_path: Path) -> None:
    run = saved(tmp_path)
    arguments = resume.prepare(run, Arguments.parse([f"resume={run}", "train.n_episodes=9"]))
    assert arguments.text("hydra.run.dir") == str(run)
    assert arguments.overrides[:2] == (f"resume={run}", "train.n_episodes=9")


@pytest.mark.parametrize("word", ["agent=liquid_ddpg", "env=pendulum", "experiment=balance"])
def test_another_run_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(SettingError, match="can't change when a run is resumed"):
        resume.prepare(saved(tmp_path), Arguments.parse([word]))


def test_several_jobs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="leave -m"):
        resume.prepare(saved(tmp_path), Arguments.parse(["-m"]))


def test_settings_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1\n")
    with pytest.raises(RunDirectoryError, match="has no 'device'; expected the settings of a training run"):
        resume.prepare(tmp_path, Arguments.parse([]))


MINE = {"mine": {"_target_": "my_callbacks.Mine"}}
NESTED = {"mine": {"_target_": "velora.callbacks.EarlyStopping", "target": {"_target_": "os.getcwd"}}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"callbacks": MINE}, "callbacks.mine._target_=my_callbacks.Mine"),
        ({"callbacks": NESTED}, "callbacks.mine.target._target_=os.getcwd"),
        ({"logger": MINE}, "logger.mine._target_=my_callbacks.Mine"),
        ({"agent": {"_target_": "subprocess.Popen"}}, "agent._target_=subprocess.Popen"),
        ({"env": {"id": "my_envs:Mine-v0", "kwargs": {}}}, "env.id=my_envs:Mine-v0"),
    ],
)
def test_foreign_code_must_be_named_again(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    run = saved(tmp_path, **changes)
    with pytest.raises(SettingError) as caught:
        resume.prepare(run, Arguments.parse([]))
    assert f"if you trust it, add {named} to the command line" in str(caught.value)
    resume.prepare(run, Arguments.parse([named]))


def test_all_that_must_be_trusted_is_listed_at_once_and_in_the_command_that_goes_on(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"callbacks": {**MINE, "nested": NESTED["mine"], "two": {"_target_": "b.C"}}}
    changes["env"] = {"id": "my_envs:Mine-v0", "kwargs": {}}
    run = saved(tmp_path, **changes)
    with pytest.raises(SettingError) as caught:
        resume.prepare(run, Arguments.parse([]))
    words = resume.command(run, {**SAVED, **changes}, "train.n_episodes=6").removeprefix("velora train ").split()
    assert words[0] == f"resume={run}"
    assert words[-2:] == ["env.id=my_envs:Mine-v0", "train.n_episodes=6"]
    assert f"if you trust it, add {' '.join(words[1:-1])} to the command line" in str(caught.value)
    resume.prepare(run, Arguments.parse(words))


def test_a_replaced_group_needs_no_trust(tmp_path: Path) -> None:
    run = saved(tmp_path, callbacks=MINE)
    arguments = resume.prepare(run, Arguments.parse(["callbacks=none"]))
    assert arguments.overrides[0] == "callbacks=none"
    node = ConfigStore.instance().load(f"{resume.CONFIG_NAME}.yaml").node
    assert "callbacks" not in node  # so that nothing of the saved ones is made
    assert node.agent == SAVED["agent"]
    assert {"callbacks": "default"} in node.defaults  # which the command line replaces


def test_differences_name_what_changed() -> None:
    changed = OmegaConf.create({**SAVED, "train": {"n_episodes": 9}, "callbacks": {"a": {"b": 0}}, "resume": "x"})
    assert resume.differences(OmegaConf.create(SAVED), changed) == [
        "callbacks.a.b: not set -> 0",
        "train.n_episodes: 3 -> 9",
    ]
    assert resume.differences(changed, changed) == []


def test_a_budget_that_nobody_has_named_is_no_change() -> None:
    old, new, own = (OmegaConf.create({"train": {"n_episodes": n, "n_steps": k}}) for n, k in ((7, 7), (9, 9), (9, 20)))
    assert resume.differences(old, new) == ["train.n_steps: 7 -> 9"]
    assert resume.differences(old, own) == ["train.n_episodes: 7 -> 9", "train.n_steps: 7 -> 20"]
