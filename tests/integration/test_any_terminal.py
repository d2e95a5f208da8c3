"""The command's reports in processes of their own: other encodings, no output, a reader that goes away, a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from velora.models import LiquidDDPG

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a shell")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    agent = LiquidDDPG(3, 3, 1, warmup_steps=190, seed=0, device="cpu")
    agent.train("Pendulum-v1", 4, n_episodes=1, progress_bar=False, summary=False)
    return agent.save(tmp_path_factory.mktemp("saved") / "ep1")


def shell(line: str, directory: Path, **environment: str) -> tuple[int, str, str]:
    """Run a line of bash in which ``velora`` is the command; a pipe fails if a part of it does."""
    line = f"set -o pipefail; {line}".replace("velora", f"{sys.executable} -m velora", 1)
    done = subprocess.run(
        ["bash", "-c", line], cwd=directory, env={**os.environ, **environment}, capture_output=True, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode("ascii", "replace")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252:strict"])
def test_a_run_is_reported_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    words = "agent.n_neurons=3 train.n_episodes=1 train.evaluation_episodes=2 device=cpu hydra.run.dir=out"
    code, _, err = shell(f"velora train {words} > report.txt", tmp_path, PYTHONIOENCODING=encoding)
    assert code == 0, err
    report = (tmp_path / "report.txt").read_bytes().decode(encoding.partition(":")[0])
    assert f" {'+/-' if encoding == 'ascii' else '±'} " in report
    assert report.rstrip().splitlines()[-1].startswith("go on     velora train resume=out")


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(checkpoint: Path, tmp_path: Path) -> None:
    code, out, err = shell(f"velora evaluate checkpoint={checkpoint} episodes=3 | head -1", tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("episode    1")


@pytest.mark.parametrize("words", ["train --help", "train --info searchpath", "plot --help"])
def test_a_reader_of_help_that_goes_away_is_no_error(words: str, tmp_path: Path) -> None:
    assert shell(f"velora {words} | true", tmp_path) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_no_output_is_no_error(closed: str, checkpoint: Path, tmp_path: Path) -> None:
    code, _, err = shell(f"velora evaluate checkpoint={checkpoint} episodes=1 {closed}", tmp_path)
    assert (code, err) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_report_that_is_lost_on_a_full_disk_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    code, _, err = shell(f"velora evaluate checkpoint={checkpoint} episodes=1 > /dev/full", tmp_path)
    assert code == 1
    assert "standard output can't be written (No space left on device)" in err
    assert "Traceback" not in err
