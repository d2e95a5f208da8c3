"""A run of several seeds that is told to stop, or killed, goes on to the same bits, each seed from where it stands."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from velora.checkpoint import Checkpoint

SEEDS = (3, 0, 11)
RUN = """
import os, signal, sys
from velora.callbacks import Callback, EarlyStopping, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.utils import set_seed

set_seed(1)
kernel, directory, at, signal_name, *resume = sys.argv[1:]


class Falls(Callback):
    def __init__(self):
        self.falls = {}

    def on_episode_end(self, trainer, agent, episode):
        seed = agent.seeds[episode.seed_index]
        self.falls[seed] = self.falls.get(seed, 0) + episode.terminated

    def seed_state_dict(self, seed):
        return {"falls": self.falls.get(seed, 0)}

    def load_seed_state_dict(self, seed, state):
        self.falls[seed] = state["falls"]


class Strike(Callback):
    ticks = 0

    def tick(self):
        self.ticks += 1
        if self.ticks == int(at):
            os.kill(os.getpid(), getattr(signal, signal_name))

    def on_train_start(self, trainer, agent):
        print("started", flush=True)

    def on_env_step(self, trainer, agent, transition):
        self.tick()

    def on_evaluation_end(self, trainer, agent, evaluation):
        self.tick()

    def on_checkpoint_saved(self, trainer, agent, path):
        self.tick()

    def on_train_end(self, trainer, agent):
        print(self.ticks, flush=True)


agent = LiquidDDPG(4, 6, 1, warmup_steps=30, buffer_size=90, sequence_length=2, burn_in=1, device="cpu", kernel=kernel,
                   seeds=SEEDS)
agent.train("InvertedPendulum-v5", 8, n_episodes=22, n_steps=140, window_size=3, run_dir=directory, summary=False,
            evaluate_every=4, evaluation_episodes=2, progress_bar=False, resume=resume[0] if resume else None,
            callbacks=[Falls(), EarlyStopping(patience=9), SaveCheckpoints(f"{directory}/checkpoints", frequency=3),
                       Strike()])
""".replace("SEEDS", repr(SEEDS))


def command(kernel: str, directory: Path, at: int, name: str, *resume: Path) -> list[str]:
    return [sys.executable, "-c", RUN, kernel, str(directory), str(at), name, *map(str, resume)]


def run(kernel: str, directory: Path, at: int, name: str, *resume: Path) -> subprocess.CompletedProcess[str]:
    words = command(kernel, directory, at, name, *resume)
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)


def go_on(kernel: str, directory: Path) -> None:
    """Finish a run that was cut, however often it was."""
    if not any(directory.glob("checkpoints/seed*/*/metadata.json")):
        pytest.skip("killed before its first checkpoint")  # there is nothing to go on from then
    done = run(kernel, directory, -1, "SIGTERM", directory)
    assert done.returncode == 0, done.stderr


def everything(checkpoint: Path) -> dict[str, Any]:
    """Return the whole of a checkpoint: what it says, and the digests of its tensors."""
    document = Checkpoint.open(checkpoint).metadata.document()
    train_state: Any = document["train_state"]
    train_state.pop("run_id")
    return document


def rows(run_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that the metrics say of the run, but when."""
    state: Any = Checkpoint.open(run_dir / "checkpoints" / f"seed{SEEDS[0]}" / "final").metadata.train_state
    mine = (state["run_id"],)  # one that was killed before its first checkpoint has left rows too
    tables = {
        "experiment": "agent, environment, seeds, settings, status, stop_reason",
        "episode": "seed, episode, step, updates, reward, length, terminated, truncated, reset_seed, window_mean,"
        " window_std, window_max, window_count",
        "metric": "seed, episode, name, value",
        "evaluation": "seed, step, episode, mean, std, min, max, returns",
    }
    with sqlite3.connect(run_dir / "metrics.db") as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table} WHERE run_id = ?", mine).fetchall())
            for table, columns in tables.items()
        }


def assert_same(whole: Path, cut: Path) -> None:
    for seed in SEEDS:
        names = {path.name for path in (whole / "checkpoints" / f"seed{seed}").iterdir()}
        found = {path.name for path in (cut / "checkpoints" / f"seed{seed}").iterdir()}
        # ep12 is written right after best, of the same moment; a kill between the two leaves best to go on from.
        assert names - found <= {"ep12"}
        assert found - names <= {"interrupted"}
        for name in names & found - {"model_config.json"}:
            one, other = (everything(run_dir / "checkpoints" / f"seed{seed}" / name) for run_dir in (whole, cut))
            assert one == other, (seed, name)
    one, other = rows(whole), rows(cut)
    for table in one:
        assert one[table] == other[table], table


class Whole:
    """Make the run in one piece, once for each kernel."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ticks: dict[str, int] = {}

    def of(self, kernel: str) -> tuple[Path, int]:
        """Return its directory, and how many moments there are to strike at."""
        directory = self._directory / kernel
        if kernel not in self._ticks:
            done = run(kernel, directory, -1, "SIGTERM")
            assert done.returncode == 0, done.stderr
            self._ticks[kernel] = int(done.stdout.split()[-1])
        return directory, self._ticks[kernel]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
def test_the_run_is_worth_interrupting(whole: Whole) -> None:
    """Seeds that end at different steps and for different reasons, with everything in it that a run can have."""
    directory, _ = whole.of("numpy")
    ends = {s: Checkpoint.open(directory / "checkpoints" / f"seed{s}" / "final").metadata for s in SEEDS}
    assert len({end.progress.step for end in ends.values()}) == len(SEEDS)
    assert len({end.progress.update for end in ends.values()}) == len(SEEDS)
    reasons: list[Any] = [end.train_state["lane"]["stop_reason"] for end in ends.values()]  # type: ignore[index, call-overload]
    assert 0 < sum(reason is not None for reason in reasons) < len(SEEDS)
    assert len(rows(directory)["evaluation"]) > len(SEEDS)


MORE = [pytest.param(kernel, n, marks=pytest.mark.slow) for kernel in ("native", "numpy", "torch") for n in range(5)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "number"), [("native", -1), pytest.param("numpy", -2, marks=pytest.mark.slow), *MORE]
)
def test_a_signal_at_any_moment_loses_nothing(tmp_path: Path, whole: Whole, kernel: str, number: int) -> None:
    directory, ticks = whole.of(kernel)
    at = random.Random(f"signal {kernel} {number}").randrange(1, ticks)
    stopped = run(kernel, tmp_path, at, "SIGTERM")
    assert stopped.returncode == -signal.SIGTERM, stopped.stderr
    steps = {s: Checkpoint.open(tmp_path / "checkpoints" / f"seed{s}" / "interrupted").metadata for s in SEEDS}
    print(f"told to stop at moment {at} of {ticks}, seeds at {[m.progress.step for m in steps.values()]}")
    go_on(kernel, tmp_path)
    assert_same(directory, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "number"),
    [("native", -1), *(pytest.param(*one, marks=pytest.mark.slow) for one in (("numpy", -2), ("torch", -3))), *MORE],
)
def test_kill_nine_at_any_moments_leads_to_the_same_bits(
    tmp_path: Path, whole: Whole, kernel: str, number: int
) -> None:
    """Killed twice, so that in the end the seeds stand at different steps."""
    directory, ticks = whole.of(kernel)
    generator = random.Random(f"kill {kernel} {number}")
    resume: tuple[Path, ...] = ()
    for _ in range(2):
        killed = run(kernel, tmp_path, generator.randrange(ticks // 4, ticks), "SIGKILL", *resume)
        if killed.returncode == 0:
            break  # it went past the moment
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        if any(tmp_path.glob("checkpoints/seed*/*/metadata.json")):
            resume = (tmp_path,)
        at = [getattr(Checkpoint.latest(tmp_path / "checkpoints" / f"seed{s}"), "path", None) for s in SEEDS]
        print(f"killed; seeds go on from {[path.name if path else None for path in at]}")
    go_on(kernel, tmp_path)
    assert_same(directory, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
def test_kill_nine_from_outside_in_the_middle_of_anything(tmp_path: Path, whole: Whole, number: int) -> None:
    directory, _ = whole.of("native")
    generator = random.Random(f"outside {number}")
    resume: tuple[Path, ...] = ()
    for _ in range(2):
        words = command("native", tmp_path, -1, "SIGTERM", *resume)
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "started\n"
            time.sleep(generator.uniform(0.0, 0.6))
            child.kill()
        if any(tmp_path.glob("checkpoints/seed*/*/metadata.json")):
            resume = (tmp_path,)
    go_on("native", tmp_path)
    assert_same(directory, tmp_path)
