"""A minute of every row of ``make reliability``, and the proof that each of them can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reliability import shim
from benchmarks.reliability.rows import ROOT, ROWS
from benchmarks.reliability.tally import Tally
from tests.reliability import broken

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the shim needs LD_PRELOAD"),
    pytest.mark.timeout(900),  # the pieces take a minute together where nothing else runs
]
BROKEN = "tests.reliability.broken"


def order(call: str, subject: str | None = None, **options: Any) -> dict[str, Any]:
    """Ask for a small piece of a job."""
    return {"call": call, "subject": subject, "options": options, "seed": 0, "part": 0, "parts": 1, "quick": True}


def jobs(*orders: dict[str, Any]) -> list[Tally]:
    """Run jobs in a process of their own, which imports everything once."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability.job", json.dumps(orders)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [Tally.read(one["tally"]) for one in told if "tally" in one]


def job(call: str, subject: str | None = None, **options: Any) -> Tally:
    """Run one job."""
    (tally,) = jobs(order(call, subject, **options))
    return tally


QUICK = [(row.key, spec) for row in ROWS for spec in row.jobs if spec.quick]


@pytest.fixture(scope="module")
def pieces() -> list[Tally]:
    """Run a small piece of every row, about a minute."""
    return jobs(*(order(spec.call, spec.subject, **spec.options) for _, spec in QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(QUICK)), ids=[f"{key}: {spec.title}" for key, spec in QUICK])
def test_a_small_piece_of_every_row(pieces: list[Tally], number: int) -> None:
    tally = pieces[number]
    print(f"{tally.trials} trials, {tally.lost} lost, {tally.seconds:.0f} s")
    assert tally.trials > 0
    assert tally.lost == 0, "\n".join(tally.cases)


@pytest.mark.slow
def test_kills_errors_and_damage_are_seen() -> None:
    in_place, here = f"{BROKEN}:in place, over the old one", "benchmarks.reliability"
    calls = ("kills:run", "failures:run", "damage:flip_bits", "damage:break_files")
    assert all(tally.lost > 0 for tally in jobs(*(order(f"{here}.{call}", in_place) for call in calls)))


@pytest.mark.slow
def test_a_rename_without_a_sync_survives_kills_and_no_power_cut() -> None:
    renamed, here = f"{BROKEN}:renamed, over the old one", "benchmarks.reliability"
    kills, power = jobs(order(f"{here}.kills:run", renamed), order(f"{here}.power:run", renamed))
    assert kills.lost == 0
    assert power.lost > 0


@pytest.mark.slow
def test_no_power_cut_loses_what_is_replaced_without_an_exchange() -> None:
    """Where directories can't be exchanged, the old one is moved away first."""
    here = "benchmarks.reliability"
    asked = order(f"{here}.power:run", f"{here}.ours:velora, replacing, without renameat2")
    (tally,) = jobs({**asked, "quick": False})
    assert tally.lost == 0, tally.cases


@pytest.mark.slow
@pytest.mark.parametrize("key", broken.ROWS)
def test_every_row_notices_what_is_broken(key: str) -> None:
    tally = job(f"{BROKEN}:{broken.ROWS[key].__name__}")
    print(tally.outcomes)
    assert tally.lost > 0


def test_the_shim_sees_what_the_file_system_does(tmp_path: Path) -> None:
    """Python, SQLite and the safetensors library make calls that it knows."""
    program = """
import os, sqlite3, sys, tempfile, pathlib, torch
from benchmarks.reliability import shim, trace
from safetensors.torch import save_file
below = pathlib.Path(sys.argv[1]).resolve()
with tempfile.TemporaryFile() as file:
    with shim.armed(below, shim.Strike(), trace=file.fileno()):
        (below / "a").mkdir()
        (below / "a" / "x").write_bytes(b"123")
        os.rename(below / "a" / "x", below / "y")
        os.link(below / "y", below / "z")
        os.unlink(below / "z")
        connection = sqlite3.connect(below / "rows.db")
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        save_file({"w": torch.ones(3)}, below / "w.safetensors")
        torch.save({"w": torch.ones(3)}, below / "w.pt")
    file.seek(0)
    for call in trace.read(file.read(), below):
        print(call)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=shim.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:6] == [
        "mkdir a",
        "open a/x",
        "write a/x 3 bytes at 0",
        "rename a/x -> y",
        "link y -> z",
        "unlink z",
    ]
    assert any(line.startswith("fsync rows.db") for line in lines)
    assert any(line.startswith("write rows.db") for line in lines)
    assert any(line.startswith("write w.pt") for line in lines)
    assert any(line.startswith("write .tmp") for line in lines)  # safetensors; its rename makes no call of the library
