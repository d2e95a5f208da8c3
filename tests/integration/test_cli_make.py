"""The Makefile is the one list of commands: it explains itself, and says clearly what it lacks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Return a directory that has the Makefile and no .venv."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_help_lists_every_command(fresh: Path) -> None:
    listed = set(re.findall(r"^  make ([a-z-]+) ", make(fresh).stdout, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert listed == set(" ".join(phony).split())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("train", "scripts/train.py agent=liquid_ddpg env=pendulum train.seed=1"),
        ("test", '-m "not slow'),
        ("check", "ruff format --check"),
    ],
)
def test_a_command_installs_first_and_then_runs(fresh: Path, target: str, expected: str) -> None:
    printed = make(fresh, "-n", target, "ARGS=train.seed=1").stdout
    install = "-m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'"
    assert 0 < printed.index(install) < printed.index(expected)


def test_what_is_installed_is_not_installed_again(fresh: Path) -> None:
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / ".complete").touch()
    assert "pip install" not in make(fresh, "-n", "train").stdout


def test_a_missing_python_is_named(fresh: Path) -> None:
    done = make(fresh, "train", "PYTHON=/nowhere/python")
    assert done.returncode != 0
    assert "Velora needs Python 3.11 or later; found none in PYTHON=/nowhere/python." in done.stderr
    assert not (fresh / ".venv").exists()
