"""``velora compare`` as it is typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.analysis.comparison_runs import make_sweep
from tests.unit.analysis.run_directories import make_run

Command = Callable[..., Any]


def test_a_table_and_the_files_that_were_asked_for(command: Command, tmp_path: Path) -> None:
    make_sweep(tmp_path / "my sweep", environments=("Pendulum-v1",), n_seeds=2)
    words = ("my sweep", "by=agent", "out=report.html", "out=curves.svg", "out=t/table.csv", "title=Mine")
    code, out, err = command("compare", *words)
    assert (code, err) == (0, "")
    assert out.splitlines()[2].split() == ["curve", "seeds", "final", "best", "so", "far", "steps", "time"]
    assert out.endswith("\nreport.html\ncurves.svg\nt/table.csv\n")
    html = (tmp_path / "report.html").read_text()
    assert "<h1>Mine</h1>" in html
    foot = "velora compare &#x27;my sweep&#x27; by=agent out=report.html out=curves.svg out=t/table.csv title=Mine"
    assert f"<code>{foot}</code>" in html
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    assert (tmp_path / "t" / "table.csv").read_text().startswith("environment,curve,seeds,final,")


def test_choices(command: Command, tmp_path: Path) -> None:
    make_sweep(tmp_path / "sweep", n_seeds=1)
    code, out, err = command(
        "compare", "sweep", "by=agent, actor_lr", "where=env=pendulum agent=*td3", "x=episodes", "window=3"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("2 runs with 2 seeds in all: return of an episode, mean of 3, over episodes.")
    assert [line.split()[:3] for line in lines[3:5]] == [
        ["liquid_td3,", "actor_lr=0.0003", "1"],
        ["liquid_td3,", "actor_lr=0.001", "1"],
    ]
    assert "Each curve has one seed: no interval exists" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("by=agent",), "compare: expected at least one run directory, got none; see velora compare --help"),
        (("run", "--by=agent"), "--by=agent: no such setting; did you mean by?"),
        (("run", "-v"), "-v: no such option; settings are written name=value; see velora compare --help"),
        (("run", "windw=3"), "windw=3: no such setting; did you mean window?"),
        (("run", "window=x"), "window: expected a whole number, got 'x'"),
        (("nowhere",), "nowhere: no such directory"),
        (("empty",), "empty: expected runs in or below it, found none"),
        (("run", "by=agnt"), "by: no column 'agnt'; did you mean agent?"),
        (
            ("run", "metric=efort"),
            "metric: nobody recorded 'efort'; there is return, length, seconds, evaluation, actor/loss",
        ),
        (("run", "x=time"), "x: expected one of steps, episodes, seconds, got 'time'"),
        (("run", "out=report.doc"), "out=report.doc: expected a name that ends in .html,"),
        (
            ("run", "normalise=x.csv"),
            "normalise=x.csv: expected a CSV file with the columns environment, random, reference",
        ),
        (
            ("run", "other", "by=env"),
            "by=env: returns of different environments (Hopper-v5, Pendulum-v1) don't compare",
        ),
    ],
)
def test_mistakes_are_one_line(command: Command, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    make_run(tmp_path / "run", 1.0, 2.0)
    make_run(tmp_path / "other", 1.0, 2.0, environment="Hopper-v5")
    (tmp_path / "empty").mkdir()
    code, out, err = command("compare", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"velora compare: {said}")


def test_it_teaches(command: Command) -> None:
    assert command("compare", "--help").out == command("compare").out
    assert "by=agent out=report.html" in command("compare").out


def test_tables_need_neither_matplotlib_nor_torch(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 1.0, 2.0)
    program = (
        "import sys; sys.modules['matplotlib'] = None; from velora.cli.main import main;"
        "assert main(['compare', 'run', 'out=a.md']) == 0; assert 'torch' not in sys.modules;"
        "sys.exit(main(['compare', 'run', 'out=a.html']))"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("velora compare: curves: matplotlib isn't installed; install it, or the extra plot")
    assert (tmp_path / "a.md").read_text().startswith("# liquid_ddpg on Pendulum-v1\n")
    assert not (tmp_path / "a.html").exists()
