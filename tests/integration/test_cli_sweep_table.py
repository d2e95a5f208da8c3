"""What a sweep shows: its live table as plain lines in a pipe and in place on a terminal, and the table at its end."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

WORDS = (
    *("train", "-m", "sweep=processes", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep", "device=cpu"),
    *("train.batch_size=8", "train.evaluation_episodes=1", "agent.warmup_steps=150", "agent.n_neurons=5"),
    *("train.n_episodes=2", "train.seeds=2"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_sweep_in_a_pipe_shows_a_plain_line_for_each_change_and_its_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "velora", *WORDS, "agent.tau=0.01,2.0,0.02"]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr  # of one job the setting is out of its domain
    assert "\x1b" not in done.stdout + done.stderr
    said = [line.split() for line in done.stderr.splitlines()]
    statuses = {(words[0].partition("_")[0], words[1]) for words in said if len(words) > 1}
    assert {("tau-0.01", "finished"), ("tau-0.02", "finished"), ("tau-2.0", "failed")} <= statuses
    table = done.stdout.splitlines()
    start = next(i for i, line in enumerate(table) if line.startswith("tau "))
    assert table[start].split() == ["tau", "seeds", "return", "best", "time"]
    assert [line.split()[:2] for line in table[start + 1 : start + 3]] == [["0.01", "2"], ["0.02", "2"]]
    assert table[-2:] == [
        f"table  {Path('sweep') / 'table.csv'}",
        "compare  velora compare sweep out=report.html",  # not all jobs are done, but some can be compared
    ]
    rows = list(csv.DictReader((tmp_path / "sweep" / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["agent.tau"] for row in rows] == ["0.01", "0.02"]
    assert float(rows[0]["best"]) >= float(rows[0]["return"])


@pytest.mark.slow
def test_a_sweep_on_a_terminal_has_one_table_in_place(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    longer = [word.replace("n_episodes=2", "n_episodes=40") for word in WORDS]  # than the time between two looks
    command = [sys.executable, "-m", "velora", *longer, "agent.tau=0.01,0.02"]
    environment = {**ENVIRONMENT, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "60", "LINES": "20"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 1 << 16):
                shown += chunk
        except OSError:  # Linux's way to say that the other end is closed
            pass
        assert process.wait() == 0
    os.close(ours)
    text = shown.decode()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor was hidden, and is there again
    frames = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split("2 runs: ")[1:]
    assert frames[0].startswith("2 waiting")
    assert frames[-1].startswith("2 finished")
    assert any("1 running" in frame or "2 running" in frame for frame in frames)
    assert max(len(line) for frame in frames for line in frame.splitlines()[1:]) <= 60
    assert "\x1b[3" not in text
