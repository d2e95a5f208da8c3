"""The command ``velora runs``, on directories with known rows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.unit.analysis.run_directories import make_run
from velora.cli.main import main
from velora.cli.runs import command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of one sweep, and one that failed."""
    monkeypatch.chdir(tmp_path)
    make_run(Path("multirun/a"), -900.0, -800.0, evaluations={2: -152.345}, settings={"n_neurons": 20})
    make_run(Path("multirun/b"), -900.0, -800.0, evaluations={2: -250.0}, settings={"n_neurons": 40}, seeds=(0, 1, 2))
    make_run(Path("outputs/c"), -900.0, status="crashed", settings={"n_neurons": 20})
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["runs", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


def test_without_words_it_lists_what_train_has_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys) == [
        "liquid_ddpg on Pendulum-v1",
        "run         n_neurons  status    progress  episodes  steps  return    best  seeds  time",
        "outputs/c   20         failed        25 %         1    200  -900.0  -900.0  7      0:00",
        "multirun/a  20         finished     100 %         2    400  -152.3  -152.3  7      0:00",
        "multirun/b  40         finished     100 %         2    400  -250.0  -250.0  0-2    0:00",
    ]


def test_a_terminal_is_told_how_far_the_reading_of_many_is(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_MANY", 3)
    listed = run(capsys)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == listed
    assert "reading runs" in err


def test_runs_are_chosen_ordered_and_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "where=env=pendulum status=finished", "sort=-return", "limit=1")
    assert [line.split()[0] for line in lines] == ["run", "multirun/a"]
    assert run(capsys, "where=n_neurons=99") == ["none of 3 runs fits n_neurons=99"]


def test_a_directory_that_is_named_is_the_only_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split()[0] for line in run(capsys, "outputs")] == ["run", "outputs/c"]
    assert len(run(capsys, "multirun", "outputs/c", "multirun/a")) == 5


def test_csv_and_json_hold_everything_unrounded(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "multirun", "csv=new/runs.csv", "format=csv")
    text = Path("new/runs.csv").read_text(encoding="utf-8")
    assert text.splitlines() == printed
    first, second = csv.DictReader(text.splitlines())
    assert (first["run"], first["return"], first["agent.n_neurons"]) == ("multirun/a", "-152.345", "20")
    assert second["seeds"] == "0 1 2"
    listed = json.loads("\n".join(run(capsys, "multirun", "format=json")))
    assert [row["seeds"] for row in listed] == [[7], [0, 1, 2]]
    assert [row["agent.n_neurons"] for row in listed] == [20, 40]
    assert json.loads("\n".join(run(capsys, "where=steps>1e9", "format=json"))) == []


def test_a_table_for_a_paper_is_markdown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "multirun", "format=markdown")
    assert lines[0] == "| run | n_neurons | status | episodes | steps | return | best | seeds | time |"
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["where=statu=finished"], "where: no column 'statu'; did you mean status?"),
        (["sort=-retrun"], "sort: no column 'retrun'; did you mean return?"),
        (["sort=agent.n_neuron"], "sort: no column 'agent.n_neuron'; did you mean agent.n_neurons?"),
        (["limit=0"], "limit: expected a whole number of at least 1, got '0'"),
        (["limit=few"], "limit: expected a whole number of at least 1, got 'few'"),
        (["format=tabel"], "format: tabel: did you mean table?"),
        (["watch=yes"], "watch: expected true or false, got 'yes'"),
        (["watch=true", "csv=a.csv"], "watch: a live table goes to no file and has one format; leave csv= and format="),
        (["wehre=env=hopper"], "wehre=env=hopper: no such setting; did you mean where?"),
        (["--watch"], "--watch: no such option; settings are written name=value; see velora runs --help"),
        (["nowhere"], "nowhere: no such directory; expected one of a run, or of runs"),
        (
            ["empty"],
            "empty: expected runs in or below it, found none; train one by velora train, or name another directory",
        ),
        (["csv=outputs/c/metrics.db/x.csv"], "outputs/c/metrics.db/x.csv can't be written ("),
    ],
)
def test_a_slip_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    (here / "empty").mkdir()
    assert main(["runs", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"velora runs: {message}")
    assert err.count("\n") == 1


def test_help_names_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--help")
    assert any(line.split()[:1] == ["return"] for line in lines)
    assert "  where=          conditions that must all hold" in "\n".join(lines)
