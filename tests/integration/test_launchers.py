"""Every launcher that the documentation names, run for real: the same jobs leave the same bits under each of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.shared import digests
from velora.analysis import outcome
from velora.checkpoint import Checkpoint
from velora.core.errors import RunDirectoryError
from velora.metrics import queries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
ROOT = Path(__file__).parents[2]
RAY = ROOT / ".venv-ray" / "bin" / "python"
TINY = (
    *("train.n_episodes=12", "train.batch_size=8", "train.evaluation_episodes=1", "train.progress_bar=false"),
    *("train.summary=false", "agent.warmup_steps=250", "checkpoint.frequency=4", "device=cpu", "agent.n_neurons=5,6"),
    *("train.seed=0", "hydra.sweep.dir=sweep", "+callbacks.slow._target_=slow.Slow"),
)
SLOW = """
import time
from velora.callbacks import Callback
class Slow(Callback):
    def on_episode_end(self, trainer, agent, episode):
        time.sleep(0.1)
"""
LAUNCHERS = ("processes", "joblib", "slurm_local", "slurm", "ray")
SMALL = {"slurm": ("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")}


def python(launcher: str) -> Path:
    """Return the interpreter of the environment that has a launcher."""
    if launcher == "slurm" and (
        shutil.which("sbatch") is None or subprocess.run("sinfo", capture_output=True).returncode
    ):
        pytest.skip("needs a SLURM cluster: sbatch, and a controller that answers")
    if launcher != "ray":
        return Path(sys.executable)
    if not RAY.exists():
        pytest.skip("Ray has an environment of its own, which `make ray` makes")
    return RAY


def start(cwd: Path, launcher: str, *words: str, **more: str) -> subprocess.Popen[str]:
    """Start a sweep, in its own words or in those that it is gone on with."""
    (cwd / "slow.py").write_text(SLOW)
    command = [str(python(launcher)), "-m", "velora", "train", f"sweep={launcher}", *(words or ("-m", *TINY))]
    command += SMALL.get(launcher, ())
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", **more}
    environment["PYTHONPATH"] = str(ROOT / "src")
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    return out


def what_counts(sweep: Path) -> dict[str, object]:
    """Return the files of the last checkpoint, every metric row and the result of each job."""
    return {
        job.name: (
            digests(job / "checkpoints" / "final"),
            [replace(row, seconds=0.0) for row in queries.episodes(job)],
            queries.evaluations(job),
            outcome.read(job).result,
        )
        for job in sweep.iterdir()
        if (job / "config.yaml").exists()
    }


def wait_until(condition: Callable[[], bool], *, meanwhile: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        meanwhile()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Run the jobs one after the other, in one process."""
    cwd = tmp_path_factory.mktemp("alone")
    finish(start(cwd, "basic"))
    found = what_counts(cwd / "sweep")
    assert len(found) == 2
    return found


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_runs_the_jobs_and_their_list_is_not_lost(
    launcher: str, tmp_path: Path, alone: dict[str, object]
) -> None:
    out = finish(start(tmp_path, launcher))
    assert what_counts(tmp_path / "sweep") == alone
    table = (tmp_path / "sweep" / "table.csv").read_text().splitlines()
    assert len(table) == 3
    assert "agent.n_neurons" in table[0]
    assert "table  sweep/table.csv" in out
    finish(start(tmp_path, launcher, "resume=sweep", "callbacks.slow._target_=slow.Slow"))  # nothing is left to do
    assert what_counts(tmp_path / "sweep") == alone


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_fails_ends_no_other(launcher: str, tmp_path: Path, alone: dict[str, object]) -> None:
    process = start(tmp_path, launcher, "-m", *TINY, "agent.n_neurons=5,0")
    _, err = process.communicate(timeout=280)
    assert process.returncode == 2, err
    name, done = next((name, row) for name, row in alone.items() if name.startswith("n-neurons-5"))
    assert what_counts(tmp_path / "sweep") == {name: done}
    assert "agent.n_neurons: input should be greater than or equal to 3, got 0" in err
    assert "1 of 2 jobs failed; go on with: velora train resume=sweep" in err.splitlines()[-1]
    assert "Traceback" not in err


def trainers(job: Path) -> set[int]:
    """Return the processes that train a job: they have its metrics open."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # it is another user's, or has just ended
            if any(link.readlink() == job / "metrics.db" for link in path.iterdir()):
                found.add(int(path.parent.name))
    return found


def due(sweep: Path, neurons: int, episode: int) -> set[int]:
    """Return the process that trains a job of so many neurons, once it has come to an episode."""
    for job in sweep.glob(f"n-neurons-{neurons}*"):
        with contextlib.suppress(RunDirectoryError):  # it has no metrics yet
            if len(queries.episodes(job)) >= episode:
                return trainers(job)
    return set()


def hurry(sweep: Path) -> None:
    """Ask SLURM not to hold jobs back that were queued again, as it does for two minutes."""
    for path in sweep.glob(".submitit/*_[0-9]"):
        subprocess.run(["scontrol", "update", f"JobId={path.name}", "StartTime=now"], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("launcher", "name"), [("slurm_local", "SIGUSR2"), ("slurm_local", "SIGUSR1"), ("slurm", "SIGUSR2")]
)
def test_a_job_that_slurm_preempts_is_queued_again_and_goes_on_to_the_same_bits(
    launcher: str, name: str, tmp_path: Path, alone: dict[str, object]
) -> None:
    """submitit's signal, twice, to each job: it saves, submitit starts it again with the same words, and it goes on."""
    process = start(tmp_path, launcher, SUBMITIT_PREEMPT_SIGNAL=name.removeprefix("SIG"))
    sweep, signalled = tmp_path / "sweep", set[int]()

    def meanwhile() -> None:
        if launcher == "slurm":
            hurry(sweep)

    for neurons, episode in ((5, 3), (6, 3), (5, 7), (6, 7)):
        is_due = partial(lambda *job: bool(due(sweep, *job) - signalled), neurons, episode)
        wait_until(is_due, meanwhile=meanwhile)
        (pid,) = due(sweep, neurons, episode) - signalled
        os.kill(pid, getattr(signal, name))
        signalled.add(pid)
    wait_until(lambda: process.poll() is not None, meanwhile=meanwhile)
    finish(process)
    assert len(signalled) == 4
    assert what_counts(sweep) == alone
    logs = "".join(path.read_text() for path in sweep.glob(".submitit/*/*.err"))
    assert logs.count(f"Caught signal {name}") >= 4
    for job in sweep.glob("n-neurons*"):
        assert not (job / "checkpoints" / "crashed").exists()
        assert Checkpoint.open(job / "checkpoints" / "interrupted").metadata.progress.episode >= 6


def test_a_job_that_slurm_asks_to_end_is_saved_and_goes_on(tmp_path: Path, alone: dict[str, object]) -> None:
    """SLURM queues a preempted job again if it is there when its time is over, so that submitit ignores SIGTERM."""
    process, sweep = start(tmp_path, "slurm_local"), tmp_path / "sweep"
    wait_until(lambda: bool(due(sweep, 5, 3)))
    (pid,) = due(sweep, 5, 3)
    os.kill(pid, signal.SIGTERM)
    finish(process)
    assert what_counts(sweep) == alone
    (home,) = sweep.glob("n-neurons-5*/checkpoints")
    assert Checkpoint.open(home / "recent").metadata.progress.episode >= 3
    assert not (home / "interrupted").exists()


@pytest.mark.parametrize(
    ("launcher", "finished"), [("processes", 1), ("joblib", 0), ("slurm_local", 1), ("slurm", 1), ("ray", 0)]
)
def test_what_a_killed_worker_costs_is_told_and_gone_on_with(
    launcher: str, finished: int, tmp_path: Path, alone: dict[str, object]
) -> None:
    """Of joblib the whole sweep, of the others its own job, as the table says; of Ray once it may not try again."""
    if launcher == "slurm" and (
        shutil.which("sacct") is None or subprocess.run("sacct", capture_output=True).returncode
    ):
        pytest.skip("needs SLURM's accounting: without it submitit waits for a job that was killed")
    once = ("-m", *TINY, "hydra.launcher.ray.remote.max_retries=0") if launcher == "ray" else ()
    process, sweep = start(tmp_path, launcher, *once), tmp_path / "sweep"
    wait_until(lambda: bool(due(sweep, 5, 5)))
    (pid,) = due(sweep, 5, 5)
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=280)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert f"{2 - finished} of 2 jobs are not done; go on with: velora train resume=sweep" in err.splitlines()[-1]
    jobs = [path.parent for path in sweep.glob("*/config.yaml")]
    assert [outcome.read(job).status.value for job in jobs].count("finished") == finished
    wait_until(lambda: not any(trainers(job) for job in jobs))
    finish(start(tmp_path, launcher, "resume=sweep", "callbacks.slow._target_=slow.Slow"))
    assert what_counts(sweep) == alone


def test_ray_goes_on_with_a_job_whose_worker_dies(tmp_path: Path, alone: dict[str, object]) -> None:
    process, sweep = start(tmp_path, "ray"), tmp_path / "sweep"
    wait_until(lambda: bool(list(sweep.glob("*/checkpoints/ep4"))))
    (job, *_) = (path.parents[1] for path in sweep.glob("*/checkpoints/ep4"))
    (worker,) = trainers(job)
    os.kill(worker, signal.SIGKILL)
    finish(process)
    assert what_counts(sweep) == alone
