"""Two commands in one run's directory: one wins, the other is told in a line, and nothing of the first is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from velora.checkpoint import Checkpoint
from velora.metrics import queries

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TINY = [
    "train.batch_size=8",
    "train.evaluation_episodes=1",
    "train.progress_bar=false",
    "agent.warmup_steps=30",
    "checkpoint.frequency=1",
    "device=cpu",
]


def start(cwd: Path, *words: str) -> subprocess.Popen[str]:
    command, pipe = [sys.executable, "-m", "velora", "train", *words], subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def outcomes(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Wait for all, and return exit codes and what was said of errors, the winner first."""
    said = [process.communicate(timeout=240)[1] for process in processes]
    return sorted((process.returncode, text) for process, text in zip(processes, said, strict=True))


@pytest.mark.parametrize("how", ["begin", pytest.param("resume", marks=pytest.mark.slow)])
def test_of_two_that_race_one_wins_and_the_other_is_told(tmp_path: Path, how: str) -> None:
    words = [*TINY, "train.n_episodes=3", "hydra.run.dir=run", "train.seed=1"]
    if how == "resume":
        assert outcomes(start(tmp_path, *words))[0][0] == 0
        words = ["resume=run", "train.n_episodes=100"]  # so many that the second comes while the first trains
    (won, _), (lost, text) = outcomes(start(tmp_path, *words), start(tmp_path, *words))
    assert (won, lost) == (0, 2)
    assert text.count("\n") == 1
    assert "another process trains in this run's directory" in text or "holds a run already" in text
    n = 3 if how == "begin" else 100
    final = Checkpoint.open(tmp_path / "run" / "checkpoints" / "final")
    final.verify()
    assert final.metadata.progress.episode == n
    assert [row.episode for row in queries.episodes(tmp_path / "run")] == [*range(1, n + 1)]
    assert (tmp_path / "run" / "config.yaml").is_file()
