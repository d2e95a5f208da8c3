"""Sweeps in real processes, killed and interrupted and gone on with, end as the undisturbed one, to the bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shared import digests
from velora.analysis import outcome
from velora.analysis.outcome import Status
from velora.metrics import queries

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and needs PR_SET_PDEATHSIG"),
    pytest.mark.timeout(1200),  # a dozen processes are started, each of which imports PyTorch
]

TINY = [
    *("train.n_episodes=12", "train.batch_size=8", "train.evaluation_episodes=1", "train.progress_bar=false"),
    *("train.summary=false", "agent.warmup_steps=250", "checkpoint.frequency=1", "device=cpu", "agent.n_neurons=5,6"),
    "+callbacks.slow._target_=slow.Slow",
]
FOUR = ["train.seed=0,1", *TINY]
TWO = ["train.seed=0", *TINY]
SLOW = """
import time
from velora.callbacks import Callback
class Slow(Callback):
    def on_episode_end(self, trainer, agent, episode):
        time.sleep(0.1)
"""
AGAIN = "resume=sweep sweep=processes callbacks.slow._target_=slow.Slow"


def start(cwd: Path, *words: str) -> subprocess.Popen[str]:
    """Start a sweep as a shell does: as the leader of a group that a terminal signals as a whole."""
    command = [sys.executable, "-m", "velora", "train", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def run(cwd: Path, *words: str) -> tuple[int, str, str]:
    process = start(cwd, *words)
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def jobs(sweep: Path) -> list[Path]:
    return sorted(path for path in sweep.iterdir() if path.is_dir())


def statuses(sweep: Path) -> list[Status]:
    return [outcome.read(job).status for job in jobs(sweep)]


def what_counts(sweep: Path) -> dict[str, object]:
    """Return weights, rows and result of every job, by the digest in its name."""
    return {
        job.name[-8:]: (
            digests(job / "checkpoints" / "final"),
            [replace(row, seconds=0.0) for row in queries.episodes(job)],
            queries.evaluations(job),
            outcome.read(job).result,
        )
        for job in jobs(sweep)
    }


def children(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def trained(sweep: Path) -> int:
    """Count the checkpoints of jobs that are being trained."""
    return sum(1 for job in sweep.glob("*/checkpoints/ep*") if not (job.parents[1] / outcome.RESULT).exists())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    cwd = tmp_path_factory.mktemp("undisturbed")
    (cwd / "slow.py").write_text(SLOW)
    code, _, err = run(cwd, "-m", "sweep=basic", "hydra.sweep.dir=sweep", *FOUR)
    assert code == 0, err
    return what_counts(cwd / "sweep")


@pytest.mark.slow
def test_a_sweep_that_was_interrupted_saves_everything_and_goes_on_to_the_same_bits(
    tmp_path: Path, undisturbed: dict[str, object]
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    process, sweep = start(tmp_path, "-m", "sweep=processes", "hydra.sweep.dir=sweep", *TWO), tmp_path / "sweep"
    wait_until(lambda: trained(sweep) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    how, last = err.splitlines()[-2:]
    assert how.endswith(f" jobs are not done; go on with: velora train {AGAIN}")
    assert last == "velora train: interrupted"
    assert "Traceback" not in err
    assert Status.DEAD not in statuses(sweep)
    assert Status.INTERRUPTED in statuses(sweep)
    code, _, err = run(tmp_path, *AGAIN.split())
    assert (code, err) == (0, "")
    assert statuses(sweep) == [Status.FINISHED, Status.FINISHED]
    assert len(what_counts(sweep)) == 2
    assert what_counts(sweep).items() <= undisturbed.items()


@pytest.mark.slow
def test_a_sweep_bears_the_death_of_a_worker_and_of_its_parent(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    process, sweep = start(tmp_path, "-m", "sweep=processes", "hydra.sweep.dir=sweep", *FOUR), tmp_path / "sweep"
    wait_until(lambda: trained(sweep) >= 3)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 1
    assert err.count("killed by SIGKILL; see sweep/") == 1
    assert err.splitlines()[-1] == f"velora train: 1 of 4 jobs are not done; go on with: velora train {AGAIN}"
    assert "Traceback" not in err
    assert sorted(statuses(sweep)) == [Status.DEAD, *[Status.FINISHED] * 3]
    for number in (signal.SIGKILL, signal.SIGTERM):
        before, process = trained(sweep), start(tmp_path, *AGAIN.split())
        wait_until(lambda n=before: trained(sweep) > n)  # type: ignore[misc]
        workers = children(process.pid)
        process.send_signal(number)
        process.communicate(timeout=100)
        assert process.returncode == -number
        wait_until(lambda pids=workers: not any(Path(f"/proc/{pid}").exists() for pid in pids))  # type: ignore[misc]
        assert sorted(statuses(sweep)) == [*[Status.FINISHED] * 3, Status.INTERRUPTED]
    code, _, err = run(tmp_path, *AGAIN.replace("processes", "basic").split())
    assert (code, err) == (0, "")
    assert what_counts(sweep) == undisturbed


FULL = """
import resource
from velora.callbacks import Callback
class Full(Callback):
    def on_episode_end(self, trainer, agent, episode):
        import pathlib
        if trainer.episode == 3 and agent.settings.n_neurons == 5 and not pathlib.Path("room").exists():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
"""


@pytest.mark.slow
def test_a_full_disk_fails_one_job_in_one_line_and_is_gone_on_with_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(FULL)
    words = [word for word in TWO if "slow" not in word] + ["+callbacks.full._target_=full.Full"]
    code, _, err = run(tmp_path, "-m", "sweep=processes", "hydra.sweep.dir=sweep", *words)
    assert code == 2
    assert statuses(tmp_path / "sweep") == [Status.FAILED, Status.FINISHED]
    failed, how = err.splitlines()
    assert "can't be written (File too large)" in failed
    assert "check the free space" in failed
    assert how.endswith("retry=failed")
    (tmp_path / "room").touch()
    again = ["resume=sweep", "sweep=basic", "+callbacks.full._target_=full.Full", "retry=failed"]
    assert run(tmp_path, *again)[0] == 0
    assert run(tmp_path, "-m", "sweep=basic", "hydra.sweep.dir=other", *words)[0] == 0
    assert what_counts(tmp_path / "sweep") == what_counts(tmp_path / "other")
