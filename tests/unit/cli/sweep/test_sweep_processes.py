"""Commands in processes of their own: how many at a time, where their output goes, and how each ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from velora.cli.sweep import processes
from velora.cli.sweep.processes import Stopped, Work, run_all, said
from velora.training.signals import AT_ONCE, ENDING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends processes by signals")


def work(name: str, script: str, directory: Path) -> Work:
    return Work(name, ["/bin/sh", "-c", script], directory / name / "job.log")


def test_each_ends_as_it_ends_and_the_others_run_on(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    scripts = {"fine": "echo out; echo err >&2", "wrong": "exit 3", "killed": "kill -9 $$", "last": "echo last"}
    codes = run_all(
        (work(name, script, tmp_path) for name, script in scripts.items()),
        at_a_time=2,
        ended=lambda one, code: told.append((one.name, code)),
    )
    assert codes == {"fine": 0, "wrong": 3, "killed": -9, "last": 0}
    assert dict(told) == codes
    assert (tmp_path / "fine" / "job.log").read_text() == "out\nerr\n"
    assert (tmp_path / "last" / "job.log").read_text() == "last\n"


def test_a_log_is_added_to(tmp_path: Path) -> None:
    for _ in range(2):
        run_all([work("a", "echo again", tmp_path)], at_a_time=1)
    assert (tmp_path / "a" / "job.log").read_text() == "again\nagain\n"


def test_no_more_run_at_a_time_than_asked_for_and_each_is_made_when_its_turn_comes(tmp_path: Path) -> None:
    alive: set[str] = set()
    most: list[int] = []

    def works() -> Iterator[Work]:
        for name in "abcde":
            alive.add(name)
            most.append(len(alive))
            yield work(name, "sleep 0.1", tmp_path)

    run_all(works(), at_a_time=2, ended=lambda one, code: alive.remove(one.name))
    assert (max(most), len(most)) == (2, 5)


def test_cores_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VELORA_CORES", "1")
    run_all(
        [work("a", 'echo "$VELORA_CORES $PYTHONUNBUFFERED $MORE"', tmp_path)], at_a_time=3, environment={"MORE": "x"}
    )
    assert (tmp_path / "a" / "job.log").read_text() == "1 1 x\n"


def test_nothing_to_run_is_nothing(tmp_path: Path) -> None:
    assert run_all([], at_a_time=2) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once_and_all_are_waited_for(tmp_path: Path, number: signal.Signals) -> None:
    """Each saves for a moment, as a run does; what waits isn't begun."""
    script = "trap 'echo got >> signals; sleep 0.4; echo saved; exit 0' USR2; echo ready; while :; do sleep 0.05; done"
    names = iter("abc")

    def signal_when_ready() -> None:
        while not all((log := tmp_path / name / "job.log").exists() and log.read_text() for name in "ab"):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=signal_when_ready)
    sender.start()
    with pytest.raises(Stopped) as stopped:
        run_all((work(name, f"cd {tmp_path}/{name}; {script}", tmp_path) for name in names), at_a_time=2)
    sender.join()
    assert stopped.value.number == number
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert list(names) == ["c"]
    for name in "ab":
        assert (tmp_path / name / "job.log").read_text() == "ready\nsaved\n"
        assert (tmp_path / name / "signals").read_text() == "got\n"


def test_an_error_here_ends_them_all(tmp_path: Path) -> None:
    begun = time.monotonic()

    def fail(one: Work, code: int) -> None:
        raise ValueError("no")

    works = [work("a", "exit 0", tmp_path), work("b", "exec sleep 60", tmp_path)]
    with pytest.raises(ValueError, match="no"):
        run_all(works, at_a_time=2, ended=fail)
    assert time.monotonic() - begun < 30


def test_a_process_whose_log_can_t_be_made_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = Work("a", ["/bin/sh", "-c", f"touch {tmp_path}/ran"], tmp_path / "file" / "job.log")
    assert run_all([one], at_a_time=1) == {"a": 0}
    assert (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_process_learns_that_its_parent_is_gone(tmp_path: Path) -> None:
    child = "import sys, time; from velora.cli.sweep.processes import tie_to_parent; tie_to_parent(int(sys.argv[1]))"
    child += "; print('tied', flush=True); time.sleep(60)"
    parent = (
        "import os, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())], "
        "stdout=subprocess.PIPE); p.stdout.readline(); print(p.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent, child], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid, deadline = int(done.stdout), time.monotonic() + 20
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_it_learns_it_by_a_signal_that_a_run_which_is_ending_ignores() -> None:
    """It comes once for each thread of the parent, and the second must not end a run before it is saved."""
    child = (
        "import ctypes, os; from velora.cli.sweep.processes import tie_to_parent; tie_to_parent(os.getppid()); "
        "found = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value)"
    )
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) in set(ENDING) - set(AT_ONCE)


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (-9, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (1, "ended with exit code 1"),
        (-99, "killed by signal 99"),
    ],
)
def test_how_a_process_ended_in_words(code: int, expected: str) -> None:
    assert said(code) == expected


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="no such signal")
def test_a_job_that_saved_because_it_was_told_to_was_not_killed() -> None:
    assert [processes.was_told(-number) for number in (signal.SIGUSR2, signal.SIGKILL, 0)] == [True, False, False]
