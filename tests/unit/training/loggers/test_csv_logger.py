"""The table: on the disk row by row, and going on where a run goes on."""

from __future__ import annotations

import csv
from pathlib import Path

from velora.training.loggers.csv_logger import CSVLogger


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "csv" / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_every_row_is_there_at_once(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"a": 1.5}, step=3)
    assert rows(tmp_path) == [{"step": "3", "a": "1.5"}]
    logger.log_metrics({"b": 2.0}, step=3)
    logger.log_metrics({"a": 4.0}, step=5)
    assert rows(tmp_path) == [{"step": "3", "a": "1.5"}, {"step": "3", "b": "2.0"}, {"step": "5", "a": "4.0"}]
    assert [path.name for path in (tmp_path / "csv").iterdir()] == ["metrics.csv"]


def test_rows_can_wait(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, flush_logs_every_n_steps=10)
    logger.log_metrics({"a": 1.0}, step=3)
    assert not (tmp_path / "csv" / "metrics.csv").exists()
    logger.log_metrics({"a": 2.0}, step=9)
    assert [row["step"] for row in rows(tmp_path)] == ["3", "9"]


def test_a_table_goes_on_without_what_comes_after(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    for step in range(1, 6):
        logger.log_metrics({"a": float(step)}, step=step)
    again = CSVLogger(tmp_path, rows_until={"": 3})
    again.log_metrics({"b": 9.0}, step=4)
    assert rows(tmp_path) == [
        {"step": "1", "a": "1.0"},
        {"step": "2", "a": "2.0"},
        {"step": "3", "a": "3.0"},
        {"step": "4", "b": "9.0"},
    ]


def test_seeds_go_on_from_where_each_of_them_stands(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, prefix="my")
    for step in (1, 2, 3):
        for seed in (1, 11):
            logger.log_metrics({f"seed{seed}/a": float(step)}, step=step)
    CSVLogger(tmp_path, prefix="my", rows_until={"seed1/": 1, "seed11/": 3}).experiment.save()
    kept = [(row["step"], *set(row) - {"step"}) for row in rows(tmp_path)]
    assert kept == [("1", "my-seed1/a"), ("1", "my-seed11/a"), ("2", "my-seed11/a"), ("3", "my-seed11/a")]


def test_half_a_row_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"a": 1.25}, step=1)
    with (tmp_path / "csv" / "metrics.csv").open("a") as file:
        file.write("2,1.2")  # of 1.25
    again = CSVLogger(tmp_path, rows_until={"": 5})
    again.log_metrics({"a": 3.0}, step=2)
    assert rows(tmp_path) == [{"step": "1", "a": "1.25"}, {"step": "2", "a": "3.0"}]


def test_a_new_run_in_the_place_of_an_old_one_begins_anew(tmp_path: Path) -> None:
    CSVLogger(tmp_path).log_metrics({"a": 1.0}, step=1)
    CSVLogger(tmp_path, rows_until={"": 0}).log_metrics({"a": 2.0}, step=1)
    assert rows(tmp_path) == [{"step": "1", "a": "2.0"}]


def test_without_steps_to_go_by_a_table_grows(tmp_path: Path) -> None:
    CSVLogger(tmp_path).log_metrics({"a": 1.0}, step=1)
    CSVLogger(tmp_path).log_metrics({"a": 2.0}, step=1)
    assert [row["a"] for row in rows(tmp_path)] == ["1.0", "2.0"]
