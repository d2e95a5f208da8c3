"""Random forgeries under valid digests, read by load and by resume: refused in one line, or harmless; nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.reliability import checkpoint_faults as cf
from tests.reliability.forged import mutants
from tests.reliability.forged_reading import RUNS, make_honest

ROOT = Path(__file__).parents[2]
QUICK = ("td3", "ppo")
"""Replay and rollout; make test-all reads the others too."""
KINDS = [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in RUNS]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in RUNS]
)
@pytest.mark.some(1)
def test_a_forged_checkpoint_is_refused_or_harmless(kind: str) -> None:
    """In a process of its own, so that a crash is seen. ``python -m tests.reliability.forged 100000`` reads more."""
    words = [sys.executable, "-m", "tests.reliability.forged", "60", "1", kind]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=230, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [count["way"] for count in counts] == ["load", "resume"]
    assert all(count["refused"] > 20 for count in counts)
    print(f"\n{counts}")


def test_mutants_depend_on_their_seed_alone() -> None:
    place = cf.fast_directory()
    honest = make_honest("ddpg", place)
    names = [[name for name, _ in islice(mutants(honest, seed), 40)] for seed in (1, 1, 2)]
    assert names[0] == names[1]
    assert names[0] != names[2]
