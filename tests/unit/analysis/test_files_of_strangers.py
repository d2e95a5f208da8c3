"""What lies in the directories of runs may be anybody's: nothing in it ends a listing, leads out of it, or waits."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from velora.analysis import find_runs, outcome
from velora.analysis.find import planned_jobs
from velora.analysis.table import as_csv
from velora.core import disk, small_json
from velora.core.errors import RunDirectoryError

from .run_directories import make_run

SEED = {"seed": 0, "mean": 1.0, "episode": 1, "step": 1, "stop_reason": None}
RESULT = {"status": "finished", "objective": 1.0, "budget": {"n_episodes": 1, "n_steps": None}, "seeds": [SEED]}
FAILURE = {"error": "ValueError", "line": "no", "is_mistake": True}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("result.json", RESULT | {"status": 1}),
        ("result.json", RESULT | {"objective": 10**400}),
        ("result.json", RESULT | {"objective": True}),
        ("result.json", RESULT | {"budget": {"n_episodes": "4"}}),
        ("result.json", RESULT | {"budget": []}),
        ("result.json", RESULT | {"seeds": [SEED | {"mean": "1"}]}),
        ("result.json", RESULT | {"seeds": [SEED | {"step": 1.5}]}),
        ("result.json", RESULT | {"seeds": {}}),
        ("failure.json", FAILURE | {"line": {"a": 1}}),
        ("failure.json", FAILURE | {"is_mistake": 1}),
        ("failure.json", FAILURE | {"error": None}),
    ],
)
def test_a_value_of_another_type_is_no_end_of_a_run(tmp_path: Path, name: str, content: Any) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match="holds something else"):
        outcome.read(tmp_path)
    (run,) = find_runs(tmp_path)
    assert (run.status, run.reason) == ("unknown", str(run.reason))


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 10_000, '{"a": ' * 90_000, "\x00", "NaN NaN"])
def test_text_that_is_too_much_for_a_reader_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"result\.json can't be read") as error:
        outcome.read(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    os.mkfifo(tmp_path / "sweep.json")
    with pytest.raises(RunDirectoryError, match="expected a small file"):
        small_json.read(tmp_path / "result.json")
    assert [run.status for run in find_runs(tmp_path)] == ["unknown"]


def test_a_sweep_names_no_job_outside_of_it_and_none_that_cannot_be(tmp_path: Path) -> None:
    make_run(tmp_path / "mine", -1.0)
    names = ["../mine", str(tmp_path / "mine"), "a/../../mine", "x" * 5000, "a\0b", "\ud800", "a", "b/c", "ä ö=1"]
    content = {"words": [], "options": [], "jobs": [{"name": name, "words": []} for name in names]}
    sweep = tmp_path / "theirs"
    sweep.mkdir()
    (sweep / "sweep.json").write_text(json.dumps(content))
    assert {path.relative_to(sweep).as_posix() for path in planned_jobs(sweep)} == {"a", "b/c", "ä ö=1"}
    assert {run.status for run in find_runs(sweep)} == {"waiting"}


@pytest.mark.parametrize("content", [[], {"jobs": 1}, {"jobs": ["a"]}, {"jobs": [{"name": "a"}]}, {"jobs": [None]}])
def test_a_description_of_another_shape_has_no_jobs(tmp_path: Path, content: Any) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(content))
    assert planned_jobs(tmp_path) == {}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE experiment SET seeds = '1'",
        "UPDATE experiment SET seeds = '[[]]'",
        "UPDATE experiment SET seeds = '[1e999]'",
        "UPDATE experiment SET settings = '[]'",
        "UPDATE experiment SET settings = '{'",
        "UPDATE experiment SET n_episodes = 'many'",
        "UPDATE episode SET step = 'far'",
        "UPDATE episode SET window_mean = 'high'",
        "DROP TABLE episode",
        "ALTER TABLE experiment RENAME COLUMN agent TO agents",
    ],
)
def test_rows_that_no_run_has_written_are_told_in_its_line(tmp_path: Path, change: str) -> None:
    make_run(tmp_path / "run", -1.0)
    with sqlite3.connect(tmp_path / "run" / "metrics.db") as connection:
        connection.execute(change)
    connection.close()
    (run,) = find_runs(tmp_path)
    assert run.status == "unknown"
    assert "can't be read as a run's metrics" in str(run.reason)


@pytest.mark.parametrize("returns", ["[]", "1", '["a"]', "[[1]]"])
def test_an_evaluation_of_another_shape_is_refused(tmp_path: Path, returns: str) -> None:
    make_run(tmp_path, -1.0, evaluations={1: -1.0})
    with sqlite3.connect(tmp_path / "metrics.db") as connection:
        connection.execute("UPDATE evaluation SET returns = ?", (returns,))
    connection.close()
    with pytest.raises(RunDirectoryError, match="can't be read as a run's metrics"):
        find_runs(tmp_path)[0].evaluations()


def test_a_file_is_written_beside_a_link_of_its_name_and_not_through_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    home = tmp_path / "theirs"
    home.mkdir()
    (home / "table.csv").symlink_to(precious)
    disk.write_text(home / "table.csv", "theirs")
    assert precious.read_text() == "mine"
    assert (home / "table.csv").read_text() == "theirs"
    assert [path.name for path in home.iterdir()] == ["table.csv"]


def test_links_that_lead_out_are_found(tmp_path: Path) -> None:
    home = tmp_path / "sweep"
    (home / "job" / "wandb").mkdir(parents=True)
    (home / "inside").symlink_to("job")
    (home / "job" / "train.log").symlink_to("/etc/passwd")
    (home / "broken").symlink_to("../nothing")
    (home / "job" / "wandb" / "deep").symlink_to("/etc")
    assert disk.links_out(home, depth=1) == [home / "broken", home / "job" / "train.log"]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_directory_whose_name_is_not_utf_8_is_read_and_written_of(tmp_path: Path) -> None:
    make_run(tmp_path / os.fsdecode(b"f\xfc\xdf"), -1.0, -2.0)
    runs = find_runs(tmp_path)
    assert runs[0].status == "finished"
    disk.write_text(tmp_path / "table.csv", as_csv(runs.rows(), ["run"]))
    assert b"f\\udcfc\\udcdf" in (tmp_path / "table.csv").read_bytes()
