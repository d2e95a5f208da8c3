"""The live table: its text, what is read again, and where it may be shown."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from rich.console import Console

from tests.unit.analysis.run_directories import make_run
from velora.analysis import Runs, find_runs
from velora.analysis.find import read_runs
from velora.cli.runs import follow
from velora.cli.runs.board import board, headline, seconds_left
from velora.cli.runs.follow import Follower
from velora.cli.runs.live import LiveRuns


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """One run of each kind: half done at 10 s of 20, finished in 30 s, failed, dead, and one that waits."""
    make_run(tmp_path / "a", -900.0, -800.0, status="running")
    make_run(tmp_path / "b", -900.0, -800.0, -700.0, -600.0, evaluations={4: -152.3})
    make_run(tmp_path / "c", -900.0, status="crashed")
    make_run(tmp_path / "d", -900.0, status="running")
    (tmp_path / "d" / ".lock").touch()
    with FileLock(tmp_path / "a" / ".lock"):
        found = Runs([*find_runs(tmp_path), *read_runs(tmp_path / "e")])
    return Runs(
        replace(run, standings=tuple(replace(s, seconds=s.episodes * 5.0) for s in run.standings)) for run in found
    )


def test_a_board_says_how_all_stand_and_then_each(runs: Runs, tmp_path: Path) -> None:
    assert board(runs, top=tmp_path) == [
        "5 runs: 1 waiting, 1 running, 1 finished, 1 failed, 1 dead",
        "[============                  ] 40 %  about 0:30 left  best -152.3 (b)",
        "run  status    progress  episodes  steps  return  time  left",
        "a    running       50 %         2    400  -800.0  0:10  0:10",
        "c    failed        25 %         1    200  -900.0  0:05",
        "d    dead          25 %         1    200  -900.0  0:05",
        "e    waiting",
        "b    finished     100 %         4    800  -152.3  0:20",
    ]


def test_the_time_left_is_shared_by_those_that_run(runs: Runs) -> None:
    assert seconds_left(runs) == 30.0  # 10 s of the one that runs, 20 s of the one that waits
    twice = Runs([*runs, replace(runs[0], directory=Path("f"))])
    assert seconds_left(twice) == 20.0
    assert seconds_left(Runs(run for run in runs if run.status != "running")) is None
    assert seconds_left(Runs(replace(run, standings=()) for run in runs)) is None


def test_a_budget_that_is_not_known_leaves_the_progress_open(runs: Runs, tmp_path: Path) -> None:
    lines = board(Runs(replace(run, budget=(None, None)) for run in runs), top=tmp_path)
    assert "about" not in lines[1]
    assert lines[3].split() == ["a", "running", "2", "400", "-800.0", "0:10"]


def test_a_low_window_shows_what_matters_and_counts_the_rest(runs: Runs, tmp_path: Path) -> None:
    lines = board(runs, top=tmp_path, height=8, width=30)
    assert [line.split()[0] for line in lines[3:]] == ["a", "c", "d", "and"]
    assert lines[-1] == "and 2 more"
    assert max(map(len, lines[2:])) <= 30


def test_no_run_is_said_too() -> None:
    assert headline(Runs()) == ["0 runs: ", "[                              ] 0 %"]


def test_what_has_ended_is_read_once_and_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(directory: Path) -> list[object]:
        read.append(directory.name)
        return list(read_runs(directory))

    monkeypatch.setattr(follow, "read_runs", reading)
    make_run(tmp_path / "ended", -1.0)
    make_run(tmp_path / "going_on", -1.0, status="running")
    follower = Follower(lambda: sorted(tmp_path.iterdir()), find_every_s=0.0)
    with FileLock(tmp_path / "going_on" / ".lock"):
        for _ in range(3):
            assert [run.status for run in follower.read()] == ["finished", "running"]
    assert read == ["ended", "going_on", "going_on", "going_on"]
    make_run(tmp_path / "ended", -1.0, -2.0)
    make_run(tmp_path / "new", -1.0)
    assert [run.n_episodes for run in follower.read()] == [2, 1, 1]


def shown(directories: list[Path], top: Path, *, ticks: int = 1, **console: object) -> str:
    out = io.StringIO()
    own = Console(file=out, **console)  # type: ignore[arg-type]
    with LiveRuns(directories, top=top, console=own, every_s=0.0) as live:
        for _ in range(ticks):
            live.tick()
    return out.getvalue()


def test_without_a_terminal_a_change_is_a_plain_line(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -900.0)
    out = shown([tmp_path / "a", tmp_path / "b"], tmp_path, ticks=5, force_terminal=False, width=40)
    assert out.splitlines() == [
        "a  finished  return -900.0  0:00",
        "2 runs: 1 waiting, 1 finished  [===============               ] 50 %  best -900.0 (a)",
    ]
    assert "\x1b" not in out


def test_a_run_that_gets_its_metrics_later_is_said_to_run_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    out = io.StringIO()
    with (
        FileLock(tmp_path / "a" / ".lock"),
        LiveRuns([tmp_path / "a"], top=tmp_path, console=Console(file=out, width=40), every_s=0.0) as live,
    ):
        live.tick()
        make_run(tmp_path / "a", -900.0, status="running")
        live.tick()
    assert [line.split()[:2] for line in out.getvalue().splitlines() if line.startswith("a")] == [["a", "running"]]


def test_a_terminal_has_a_table_that_is_drawn_in_place(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -900.0, status="crashed")
    out = shown([tmp_path / "a"], tmp_path, force_terminal=True, width=60, height=20, color_system="standard")
    assert "\x1b[1;31mfailed\x1b[0m" in out
    assert out.rstrip().endswith("\x1b[?25h")  # the cursor is there again
    assert "\x1b[31" not in shown([tmp_path / "a"], tmp_path, force_terminal=True, no_color=True, width=60, height=20)


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    make_run(tmp_path / "a", -900.0)
    assert "\x1b" not in shown([tmp_path / "a"], tmp_path, force_terminal=True)


def test_a_stream_that_is_closed_ends_the_showing_alone(tmp_path: Path) -> None:
    make_run(tmp_path / "a", -900.0)
    out = io.StringIO()
    with LiveRuns([tmp_path / "a"], console=Console(file=out), every_s=0.0) as live:
        out.close()
        live.tick()
        assert live.is_over
        live.tick()
