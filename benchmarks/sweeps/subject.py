"""The sweep that is killed: its words, its launchers, and what it has left in its directory."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.reliability.training import everything
from benchmarks.sweeps.processes import TAG
from velora.analysis import outcome

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(sys.executable)
RAY: Final = ROOT / ".venv-ray" / "bin" / "python"
N_STEPS: Final = 1200
GRID: Final = ("agent=liquid_ddpg,liquid_td3", "env=pendulum,hopper", "agent.n_neurons=8,12,16")
N_JOBS: Final = 12
QUICK: Final = ("agent=liquid_ddpg,liquid_td3", "env=pendulum", "agent.n_neurons=8")
WORDS: Final = (
    *("train.seeds=3", f"train.n_steps={N_STEPS}", "train.batch_size=32", "train.evaluate_every=20"),
    *("train.evaluation_episodes=2", "train.evaluation_max_steps=200", "train.progress_bar=false"),
    *("train.summary=false", "agent.warmup_steps=200", "agent.buffer_size=1200", "checkpoint.frequency=null"),
    *("checkpoint.steps=150", "checkpoint.keep_last=2", "device=cpu", "device.threads=1"),
)
"""Small, but with everything in it that a run saves: several seeds, evaluations on the way, checkpoints that replace
each other."""


@dataclass(frozen=True)
class Launcher:
    """A way to run the jobs.

    Attributes:
        words: what chooses it, two jobs at a time.
        python: the environment that has it.
        other: the launcher on which the sweep goes on once.
    """

    words: tuple[str, ...]
    other: str
    python: Path = HERE


LAUNCHERS: Final[Mapping[str, Launcher]] = {
    "processes": Launcher(("sweep=processes", "hydra.launcher.n_jobs=2"), "joblib"),
    "joblib": Launcher(("sweep=joblib", "hydra.launcher.n_jobs=2"), "slurm_local"),
    "slurm_local": Launcher(("sweep=slurm_local", "hydra.sweeper.max_batch_size=2"), "processes"),
    "slurm": Launcher(("sweep=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"), "processes"),
    "ray": Launcher(("sweep=ray", "hydra.launcher.ray.init.num_cpus=2"), "processes", RAY),
}


@dataclass(frozen=True)
class Sweep:
    """A sweep in a directory.

    Attributes:
        place: the directory in which the command is typed.
        grid: the words with several values.
    """

    place: Path
    grid: tuple[str, ...] = GRID

    @property
    def directory(self) -> Path:
        """Where the jobs' directories lie."""
        return self.place / "sweep"

    def start(self, name: str, token: str, log: Path, *, resumed: bool) -> subprocess.Popen[bytes]:
        """Type the command that begins the sweep, or that goes on with it; its processes carry the token."""
        launcher = LAUNCHERS[name]
        own = (
            (f"resume={self.directory}",)
            if resumed
            else ("-m", *self.grid, *WORDS, f"hydra.sweep.dir={self.directory}")
        )
        environment = {**os.environ, TAG: token, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        environment["PYTHONPATH"] = str(ROOT / "src")
        with log.open("ab") as output:
            return subprocess.Popen(
                [launcher.python, "-m", "velora", "train", *own, *launcher.words],
                cwd=self.place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def jobs(self) -> list[Path]:
        """List the directories of the jobs that have begun."""
        found = self.directory.iterdir() if self.directory.is_dir() else ()
        return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))

    def statuses(self) -> dict[Path, outcome.Status]:
        """Tell how each job stands, by its directory alone."""
        return {job: outcome.read(job).status for job in self.jobs()}

    def fraction(self, n_jobs: int) -> float:
        """Return how much of all steps has been made."""
        return sum(map(_fraction, self.jobs())) / n_jobs

    def table(self) -> list[dict[str, str]]:
        """Read the table over seeds that the sweep left, without what the clock says."""
        with (self.directory / "table.csv").open(newline="") as file:
            return [{name: cell for name, cell in row.items() if name != "time"} for row in csv.DictReader(file)]

    def everything(self) -> dict[str, dict[str, Any]]:
        """Read everything that the jobs left: digests of every file of every seed, metric rows, results."""
        return {
            job.name: {**everything(job), "result": json.loads((job / "result.json").read_text())}
            for job in self.jobs()
        }


def _fraction(job: Path) -> float:
    if (job / "result.json").exists():
        return 1.0
    try:
        with closing(sqlite3.connect(f"{(job / 'metrics.db').as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT MAX(step) FROM episode GROUP BY seed").fetchall()
    except sqlite3.Error:
        return 0.0
    return min((step for (step,) in rows), default=0) / N_STEPS
