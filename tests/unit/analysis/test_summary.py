from __future__ import annotations

from pathlib import Path

import pytest

from velora.analysis import Runs, find_runs, outcome
from velora.analysis.outcome import Failure
from velora.analysis.summary import summarise

from .run_directories import make_run


def test_jobs_that_differ_only_in_their_seed_are_one_row(tmp_path: Path) -> None:
    for seed, value in enumerate((-100.0, -200.0, -300.0, -1000.0)):
        make_run(tmp_path / f"20_{seed}", -1.0, evaluations={1: value}, seeds=(seed,))
    make_run(tmp_path / "40", -1.0, evaluations={1: -50.0}, seeds=(0, 1), settings={"n_neurons": 40})
    narrow, wide = summarise(find_runs(tmp_path))
    assert (narrow["agent.n_neurons"], narrow["seeds"], narrow["best"], narrow["unfinished"]) == (20, 4, -100.0, 0)
    assert narrow["return"] == -250.0  # without the best and the worst
    assert -1000.0 <= narrow["low"] < -250.0 < narrow["high"] <= -100.0
    assert (wide["agent.n_neurons"], wide["seeds"], wide["return"], wide["low"]) == (40, 2, -50.0, None)


def test_the_return_of_up_to_three_seeds_is_their_mean(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -100.0, seeds=(0,))
    make_run(tmp_path / "b", -300.0, seeds=(1,))
    make_run(tmp_path / "c", -800.0, seeds=(2,))
    (row,) = summarise(find_runs(tmp_path))
    assert row["return"] == pytest.approx(-400.0)


def test_what_is_not_finished_is_counted_and_not_averaged(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -100.0)
    make_run(tmp_path / "b", -900.0, status="interrupted", seeds=(1,))
    make_run(tmp_path / "c", -900.0, status="crashed", settings={"n_neurons": 40})
    outcome.write_failure(tmp_path / "never", Failure("SettingError", "agent.tau: too large", is_mistake=True))
    first, second = summarise(find_runs(tmp_path))
    assert (first["seeds"], first["return"], first["unfinished"]) == (1, -100.0, 1)
    assert (second["seeds"], second["return"], second["time"], second["unfinished"]) == (0, None, None, 1)


def test_tasks_have_rows_of_their_own(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -100.0)
    make_run(tmp_path / "b", 900.0, environment="Hopper-v5", settings={"n_neurons": 20, "tau": 0.1})
    make_run(tmp_path / "c", -200.0, agent="liquid_ppo", settings={"n_epochs": 4})
    rows = summarise(find_runs(tmp_path))
    assert [(row["agent"], row["env"], row["return"]) for row in rows] == [
        ("liquid_ddpg", "Pendulum-v1", -100.0),
        ("liquid_ddpg", "Hopper-v5", 900.0),
        ("liquid_ppo", "Pendulum-v1", -200.0),
    ]
    assert not {"agent.tau", "agent.n_epochs"} & set(rows.columns())


def test_no_run_is_no_row() -> None:
    assert summarise(Runs()) == []
