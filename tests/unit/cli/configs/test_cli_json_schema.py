"""The JSON schema of settings: what a run writes and what conf/ holds fits it, and a slip doesn't."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose
from omegaconf import OmegaConf

from velora.cli.command.compose import composing, config_dir
from velora.cli.configs.json_schema import group_schema, settings_schema
from velora.cli.main import main
from velora.models.keywords import AGENTS

jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema: pip install jsonschema")


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def composed(*words: str, resolve: bool = True) -> Any:
    with composing():
        cfg = compose("train", list(words))
    return OmegaConf.to_container(cfg, resolve=resolve)


@pytest.mark.parametrize("agent", AGENTS)
def test_composed_settings_fit(agent: str) -> None:
    schema = settings_schema()
    words = [f"agent={agent}", "callbacks=early_stopping", "logger=csv", "env/mask=velocity"]
    assert problems(schema, composed(*words)) == []
    assert problems(schema, composed(*words, resolve=False)) == []


def test_an_experiment_fits() -> None:
    assert problems(settings_schema(), composed("experiment=memory")) == []


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("train", "n_episods", 3),
        ("train", "n_episodes", "many"),
        ("env", "id", 3),
        ("agent", "tau", 2.0),
        ("agent", "cell", "cfcc"),
        ("agent", "tua", 0.1),
    ],
)
def test_a_slip_does_not(part: str, name: str, value: Any) -> None:
    settings = copy.deepcopy(composed())
    settings[part][name] = value
    assert problems(settings_schema(), settings) != []


def test_files_of_a_group_fit_its_schema() -> None:
    for group in ("agent", "env", "env/mask", "env/time", "device", "checkpoint", "train", "callbacks", "logger"):
        schema = group_schema(group)
        for path in (config_dir() / group).glob("*.yaml"):
            assert problems(schema, yaml.safe_load(path.read_text()) or {}) == [], path


def test_an_agent_of_ones_own_may_have_any_settings() -> None:
    settings = composed()
    settings["agent"] = {"_target_": "my_module.MyAgent", "horizon": 3}
    assert problems(settings_schema(), settings) == []


def test_it_explains_itself_and_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.schema.json"
    assert main(["configs", "train", f"schema={path}"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    batch = json.loads(path.read_text())["properties"]["evaluate_every"]
    assert batch["description"] == "episodes between evaluations; null evaluates at the end only"
    assert batch["default"] is None
