"""The comparison of bits sees a difference, and none where there is none."""

from __future__ import annotations

import pytest

from benchmarks.bits.__main__ import compare
from benchmarks.bits.runs import RUNS, digests, names


def test_equal_runs_have_equal_digests_and_others_have_not() -> None:
    run = RUNS["ddpg"]
    first = digests(run, (7,), "numpy")
    assert digests(run, (7,), "numpy") == first
    other = digests(run, (8,), "numpy")
    assert other["weights"] != first["weights"]
    assert other["rows"] != first["rows"]


def test_a_difference_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    before = {"a": {"weights": "1", "rows": "2"}, "b": {"weights": "3", "rows": "4"}}
    now = {"a": {"weights": "1", "rows": "2"}, "b": {"weights": "3", "rows": "5"}}
    assert compare(now, now, "itself") == 0
    assert compare(now, before, "the old one") == 1
    assert "differs from the old one: b: rows\n1 of 2 runs equal" in capsys.readouterr().out
    assert compare({}, before, "nothing in common") == 1


def test_every_run_has_a_name_of_its_own() -> None:
    assert len(names()) == 90
