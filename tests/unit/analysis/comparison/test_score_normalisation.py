from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.learning.random_policy import random_return
from velora.analysis.comparison.normalisation import read_scales, unknown
from velora.core.errors import SettingError

ROOT = Path(__file__).parents[4]


def test_random_is_zero_and_the_reference_one(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("environment,random,reference,more\nMine-v0,-100,300,x\n")
    scale = read_scales(tmp_path / "scores.csv", ["Mine-v0"])["Mine-v0"]
    np.testing.assert_allclose(scale(np.array([-100.0, 100.0, 300.0, 500.0])), [0.0, 0.5, 1.0, 1.5])


def test_every_environment_of_the_command_line_has_scores() -> None:
    ids = [yaml.safe_load(path.read_text())["id"] for path in (ROOT / "conf" / "env").glob("*.yaml")]
    assert unknown(ids) == []
    assert set(read_scales("table", ids)) == set(ids)


@pytest.mark.parametrize("environment", ["CartPole-v1", "InvertedPendulum-v5"])
def test_random_returns_are_those_measured(environment: str) -> None:
    scale = read_scales("table", [environment])[environment]
    assert random_return(environment) == pytest.approx(scale.random, abs=0.05)


def test_unknown_environments_are_not_normalised() -> None:
    assert read_scales("table", ["Pendulum-v1", "Mine-v0"]) == {}
    assert unknown(["Pendulum-v1", "Mine-v0"]) == ["Mine-v0"]
    assert read_scales("none", ["Pendulum-v1"]) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("environment,random\nMine-v0,1\n", "expected the columns environment, random, reference, found no reference"),
        ("environment,random,reference\nMine-v0,1,1\n", "Mine-v0: expected two different numbers"),
        ("environment,random,reference\nMine-v0,low,1\n", "Mine-v0: expected two different numbers"),
        ("environment,random,reference\nMine-v0,0\n", "Mine-v0: expected two different numbers"),
        (
            "environment,random,reference\nOther-v0,0,1\n",
            "expected scores of Mine-v0, found those of Other-v0; add a line",
        ),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(SettingError, match=said):
        read_scales(tmp_path / "scores.csv", ["Mine-v0"])


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="expected a CSV file with the columns"):
        read_scales(tmp_path / "nothing.csv", ["Mine-v0"])
