from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.unit.analysis.run_directories import make_run
from velora.cli.runs.sweep_table import save_table, sweep_table, table_lines


def test_the_table_of_a_sweep_has_what_differs_only(tmp_path: Path) -> None:
    jobs = {
        make_run(tmp_path / f"{n}_{seed}", -1.0, evaluations={1: -n - seed}, seeds=(seed,)): (
            f"agent.n_neurons={n}",
            f"train.seed={seed}",
        )
        for n in (200, 400)
        for seed in range(3)
    }
    rows = sweep_table(jobs)
    assert table_lines(rows) == [
        "n_neurons  seeds  return     low    high    best  time",
        "200        3      -201.0  -202.0  -200.0  -200.0  0:00",
        "400        3      -401.0  -402.0  -400.0  -400.0  0:00",
        "return: mean over seeds; low to high: its 95 % bootstrap interval; best: the best seed",
    ]
    assert table_lines(rows, width=30)[0] == "n_neurons  seeds  return"
    saved = save_table(tmp_path, rows)
    assert saved == tmp_path / "table.csv"
    header, first, _ = saved.read_text().splitlines()
    assert header == "agent,env,agent.n_neurons,seeds,return,low,high,best,time,unfinished"
    assert first.startswith("liquid_ddpg,Pendulum-v1,200,3,-201.0,-202.0,-200.0,-200.0,")


def test_agents_and_what_is_not_finished_are_shown_where_there_are_several_or_some(tmp_path: Path) -> None:
    directories = [
        make_run(tmp_path / "a", -100.0),
        make_run(tmp_path / "b", -300.0, agent="liquid_ppo", status="interrupted"),
        tmp_path / "waits",
    ]
    assert table_lines(sweep_table(dict.fromkeys(directories, ()))) == [
        "agent        seeds  return    best  time  unfinished",
        "liquid_ddpg  1      -100.0  -100.0  0:00           0",
        "liquid_ppo   0                                     1",
    ]


def test_nothing_that_began_is_no_table(tmp_path: Path) -> None:
    assert table_lines(sweep_table({tmp_path / "waits": ()})) == []


def test_a_table_that_can_not_be_saved_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "missing").touch()  # a file, where there should be a directory
    with caplog.at_level(logging.WARNING):
        assert save_table(tmp_path / "missing", sweep_table({})) is None
    assert "table.csv can't be written (File exists)" in caplog.text


def test_a_sweep_differs_in_its_words(tmp_path: Path) -> None:
    """Also in those that the metrics don't tell; seeds are what a row is made over."""
    jobs = {
        make_run(tmp_path / f"{every}_{seed}", -every - seed, seeds=(seed,)): (
            f"train.evaluate_every={every}",
            f"train.seed={seed}",
            "+env.kwargs.g=9",
        )
        for every in (10, 20)
        for seed in (0, 1)
    }
    lines = table_lines(sweep_table(jobs))
    assert [line.split()[:4] for line in lines[:3]] == [
        ["evaluate_every", "g", "seeds", "return"],
        ["10", "9", "2", "-10.5"],
        ["20", "9", "2", "-20.5"],
    ]
