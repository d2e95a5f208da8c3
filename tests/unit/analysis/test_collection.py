from __future__ import annotations

from pathlib import Path

import pytest

from velora.analysis import Runs, find_runs
from velora.core.errors import SettingError

from .run_directories import COMMAND_LINE, make_run


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    make_run(tmp_path / "a", -900.0, evaluations={1: -200.0}, settings={"n_neurons": 20, "tau": 0.01})
    make_run(tmp_path / "b", -800.0, evaluations={1: -150.0}, settings={"n_neurons": 40, "tau": 0.01}, seeds=(1, 2))
    make_run(tmp_path / "c", -700.0, status="crashed", agent="liquid_ppo", environment="InvertedPendulum-v5")
    make_run(tmp_path / "d", status="interrupted", settings={"n_neurons": 20, "tau": 0.01})
    return find_runs(tmp_path)


def names(runs: Runs) -> str:
    return "".join(run.directory.name for run in runs)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("", "abcd"),
        ("status=finished", "ab"),
        ("status=failed,interrupted", "cd"),
        ("status!=finished", "cd"),
        ("env=pendulum", "abd"),
        ("env=Pendulum-v1", "abd"),
        ("env=inverted_pendulum", "c"),
        ("env=*Pendulum*", "abcd"),
        ("agent=*ppo", "c"),
        ("agent.n_neurons=40", "b"),
        ("n_neurons=20.0 status=finished", "a"),
        ("tau=1e-2", "abd"),
        ("return>-200", "b"),
        ("return>=-200", "ab"),
        ("best<-100 steps<=200", "abc"),
        ("seed=2", "b"),
        ("seeds=[1,\\ 2]", "b"),
        ("tau=null", "c"),
        ("run=*/a", "a"),
    ],
)
def test_a_condition_chooses(runs: Runs, condition: str, found: str) -> None:
    assert names(runs.where(condition)) == found


@pytest.mark.parametrize(
    ("order", "found"),
    [("return", "cabd"), ("-return", "bacd"), ("env,-return", "cbad"), ("-agent.n_neurons", "bacd"), ("run", "abcd")],
)
def test_an_order_puts_runs_without_a_value_last(runs: Runs, order: str, found: str) -> None:
    assert names(runs.sort(order)) == found


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("statsu=finished", "where: no column 'statsu'; did you mean status?"),
        ("status=finishd", "where: no status 'finishd'; did you mean finished?"),
        ("n_neuron=20", "where: no column 'n_neuron'; did you mean agent.n_neurons?"),
        ("return>high", "where: return>high: expected a number after >, got 'high'"),
        ("finished", "where: finished: expected name=value, as in where="),
        ("env='pendulum", "where: env='pendulum: no closing quotation; close it"),
    ],
)
def test_a_slip_in_a_condition_is_one_line(runs: Runs, condition: str, message: str) -> None:
    with pytest.raises(SettingError) as error:
        runs.where(condition)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_slip_in_an_order_is_one_line(runs: Runs) -> None:
    with pytest.raises(SettingError, match="sort: no column 'retrun'; did you mean return"):
        runs.sort("-retrun")


def test_a_short_name_of_two_settings_is_refused(tmp_path: Path) -> None:
    own = {**COMMAND_LINE, "env.kwargs.g": 9.0, "callbacks.mine.g": 1}
    make_run(tmp_path, -1.0, run_settings=own)
    with pytest.raises(SettingError, match=r"g may be callbacks.mine.g or env.kwargs.g; write one"):
        find_runs(tmp_path).where("g=9")


def test_a_table_shows_only_the_settings_that_differ(runs: Runs) -> None:
    assert runs.differing() == ["agent.n_neurons"]
    rows = runs.where("status=finished").rows()
    assert [row["agent.n_neurons"] for row in rows] == [20, 40]
    assert rows[1]["return"] == -150.0
    assert rows[1]["seeds"] == [1, 2]
    assert "agent.tau" not in rows.columns()


def test_what_only_other_runs_set_of_the_environment_is_default(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -1.0, run_settings={**COMMAND_LINE, "env.kwargs.g": 9.0})
    make_run(tmp_path / "b", -1.0)
    make_run(tmp_path / "of_python", -1.0, run_settings={})
    runs = find_runs(tmp_path)
    assert runs.differing() == ["env.kwargs.g"]
    assert runs.rows().column("env.kwargs.g") == [9.0, "default", None]


def test_rows_of_all_runs_say_whose_they_are(runs: Runs) -> None:
    rows = runs.metric("return")
    assert [(Path(row["run"]).name, row["agent.n_neurons"], row["seed"], row["value"]) for row in rows] == [
        ("a", 20, 7, -900.0),
        ("b", 40, 1, -800.0),
        ("b", 40, 2, -800.0),
        ("c", 20, 7, -700.0),
    ]
    assert len(runs.evaluations()) == 3


def test_a_prompt_shows_a_line_for_each_run(runs: Runs, tmp_path: Path) -> None:
    lines = repr(runs.sort("-agent.n_neurons")).splitlines()
    assert [line.split()[0] for line in lines] == ["run", *(str(tmp_path / name) for name in "bacd")]
    assert ("n_neurons" in lines[0], "40" in lines[1].split(), "-150.0" in lines[1].split()) == (True, True, True)
    assert repr(Runs()) == "no runs"
