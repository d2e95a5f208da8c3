"""What ``logger=`` takes, and the one line that answers anything else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

import velora
from tests.shared import QUIET
from velora.core import extras
from velora.core.errors import SettingError
from velora.models import LiquidDDPG
from velora.training import Trainer
from velora.training.loggers import Plan, asked
from velora.training.loggers.asked import asked_for
from velora.training.loggers.kinds import KINDS


def names(given: Any) -> list[str]:
    return [one.kind.name if isinstance(one, Plan) else type(one).__name__ for one in asked_for(given)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        (False, []),
        (True, ["csv"]),
        ("csv", ["csv"]),
        ((), []),
        (["csv", "tensorboard"], ["csv", "tensorboard"]),
        ({"csv": {"name": "table"}}, ["csv"]),
        ({"csv": None}, ["csv"]),
        (["tensorboard", {"csv": {}}], ["tensorboard", "csv"]),
    ],
)
def test_names_settings_and_several_of_them(given: Any, expected: list[str]) -> None:
    assert names(given) == expected


def test_loggers_of_ones_own_stay_what_they_are(tmp_path: Path) -> None:
    mine = CSVLogger(tmp_path)
    assert asked_for(mine) == [mine]
    assert names([mine, "csv"]) == ["CSVLogger", "csv"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cvs", "logger: there is none called 'cvs'; did you mean 'csv'?"),
        ("sqlite", "logger: there is none called 'sqlite'; expected one of csv, tensorboard, wandb, mlflow, trackio"),
        (["csv", "csv"], "logger: 'csv' is there 2 times; once is enough"),
        (CSVLogger, r"logger: expected a name, .* got <class .*CSVLogger'> \(a class: add parentheses\)"),
        (3, "logger: expected a name, several in a list, settings by name, loggers of Lightning's, .* got 3"),
        ([["csv"]], r"got \['csv'\]"),
        ({"csv": 3}, "logger: expected settings of 'csv' as {name: value}, got 3"),
        ({"csv": {"log_model": "best"}}, r"log_model: expected False, True \(best and final\) or 'all', got 'best'"),
    ],
)
def test_anything_else_is_one_line(given: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        Trainer(batch_size=4, logger=given)
    assert "\n" not in str(caught.value)


def test_a_setting_that_a_logger_does_not_have_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 4, 1, device="cpu", seed=0)
    with pytest.raises(SettingError, match=r"logger: 'csv': got an unexpected keyword argument 'nmae'"):
        agent.train("Pendulum-v1", 4, n_episodes=1, logger={"csv": {"nmae": "x"}}, run_dir=tmp_path / "run", **QUIET)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.needs])
def test_a_missing_package_is_named_with_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(SettingError) as caught:
        asked_for(name)
    root = Path(velora.__file__).parents[2]
    package = KINDS[name].needs[0]
    expected = f"logger: '{name}': needs {package}, which isn't installed; pip install -e '{root}[{name}]'"
    assert str(caught.value) == expected


def test_an_installed_velora_names_the_registry(tmp_path: Path) -> None:
    installed = tmp_path / "site-packages" / "velora"
    assert extras.how_to_install("wandb", package=installed) == "pip install 'velora-rl[wandb]'"


def test_every_kind_names_a_class_that_is_there() -> None:
    for kind in KINDS.values():
        assert isinstance(asked.locate(kind), type)
