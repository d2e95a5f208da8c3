"""``velora runs`` beside real runs: one that trains, is killed, goes on and ends; a sweep; a reader that goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.conftest import Command
from tests.unit.analysis.run_directories import make_run
from velora.analysis import find_runs
from velora.analysis.find import read_runs
from velora.metrics import queries

TINY = (
    *("train.batch_size=8", "train.evaluation_episodes=1", "train.progress_bar=false", "train.summary=false"),
    *("agent.warmup_steps=150", "agent.n_neurons=5", "checkpoint.frequency=2", "device=cpu"),
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@contextmanager
def velora(cwd: Path, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own, and end it in any case."""
    command, pipe = [sys.executable, "-m", "velora", *words], subprocess.PIPE
    encoding = environment.get("PYTHONIOENCODING", "utf-8").partition(":")[0]
    own = {**ENVIRONMENT, **environment}
    process = subprocess.Popen(command, cwd=cwd, env=own, stdout=pipe, stderr=pipe, encoding=encoding)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for_episodes(run: Path, n: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if run.is_dir() and read_runs(run)[0].n_episodes >= n:
            return
        time.sleep(0.1)
    raise AssertionError(f"{run}: no {n} episodes in two minutes")


def status(command: Command) -> list[str]:
    return [line.split()[1] for line in command("runs", "run").out.splitlines()[1:]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_is_running_while_it_trains_dead_when_it_was_killed_and_finished_when_it_went_on(
    tmp_path: Path, command: Command
) -> None:
    with velora(tmp_path, "train", *TINY, "train.n_episodes=100000", "hydra.run.dir=run") as process:
        wait_for_episodes(tmp_path / "run", 3)
        (own,) = find_runs(tmp_path)
        assert (own.status, own.budget, own.is_evaluated) == ("running", (100000, None), False)
        assert status(command) == ["running"]
        assert process.poll() is None  # looking at it has done it no harm
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert status(command) == ["dead"]
        assert queries.experiments(tmp_path / "run")[0].status == "running"  # which proves nothing
    n = max(own.n_episodes + 2, 6)
    done = command("train", "resume=run", f"train.n_episodes={n}")
    assert done.code == 0, done.err
    assert status(command) == ["finished"]
    (own,) = find_runs(tmp_path)
    assert (own.budget, own.progress, own.is_evaluated) == ((n, None), 1.0, True)


@pytest.mark.slow
def test_the_jobs_of_a_sweep_have_a_database_each_and_a_table_tells_them_apart(
    tmp_path: Path, command: Command
) -> None:
    words = (*TINY, "train.n_episodes=2", "agent.tau=0.01,0.02", "train.seeds=2", "hydra.sweep.dir=sweep")
    assert command("train", "-m", "hydra/launcher=basic", *words).code == 0
    databases = sorted((tmp_path / "sweep").glob("*/metrics.db"))
    assert len(databases) == 2
    assert [len(queries.experiments(database)) for database in databases] == [1, 1]
    assert len({queries.experiments(database)[0].run_id for database in databases}) == 2
    listed = command("runs", "sweep", "sort=-tau").out.splitlines()
    assert listed[0] == "liquid_ddpg on Pendulum-v1"
    assert [line.split()[1:4] for line in listed[1:]] == [
        ["tau", "status", "episodes"],
        ["0.02", "finished", "2"],
        ["0.01", "finished", "2"],
    ]


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_watching_ends_with_ctrl_c_and_with_its_reader(tmp_path: Path, command: Command) -> None:
    assert command("train", *TINY, "train.n_episodes=1", "hydra.run.dir=run").code == 0
    with velora(tmp_path, "runs", "run", "watch=true") as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:3] == ["run", "finished", "return"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.communicate()[1] == ""
    with velora(tmp_path, "runs", "run", "watch=true") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252:strict"])
@pytest.mark.parametrize("words", [(), ("watch=true",)])
def test_runs_are_shown_in_any_encoding(tmp_path: Path, encoding: str, words: tuple[str, ...]) -> None:
    make_run(tmp_path / "läuft", -100.0)
    with velora(tmp_path, "runs", "läuft", *words, PYTHONIOENCODING=encoding) as process:
        assert process.stdout is not None
        line = process.stdout.readline() if words else process.communicate(timeout=60)[0].splitlines()[1]
        assert line.split()[:2] == ["l\\xe4uft" if encoding == "ascii" else "läuft", "finished"]
