"""What a sweep says when it ends, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.unit.analysis.run_directories import make_run
from velora.analysis import outcome
from velora.analysis.outcome import Result, SeedResult
from velora.cli.sweep import ending
from velora.cli.sweep.plan import Job, Plan


def plan(directory: Path, n_steps: int) -> Plan:
    settings = OmegaConf.create({"train": {"n_episodes": n_steps, "n_steps": n_steps}})
    return Plan(directory, (), (Job((), "job", "0" * 8, settings),), {}, sets_subdir=False, hydra=OmegaConf.create({}))


@pytest.mark.parametrize(("asked", "code"), [(800, 1), (600, 0), (400, 0)])
def test_a_job_that_ended_with_a_smaller_budget_is_not_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: int, code: int
) -> None:
    make_run(tmp_path / "job", 1.0, n_episodes=600, n_steps=600)
    budget = {"n_episodes": 600, "n_steps": 600}
    outcome.write_result(tmp_path / "job", Result("finished", 1.0, budget, (SeedResult(0, 1.0, 3, 600, None),)))
    assert ending.conclude(plan(tmp_path, asked), "velora train resume=here") == code
    counted = (tmp_path / "table.csv").read_text().splitlines()[1].split(",")
    assert (counted[2], counted[-1]) == (("0", "1") if code else ("1", "0"))  # seeds, unfinished
    said = capsys.readouterr().err
    assert ("finished with a smaller budget (train.n_episodes=600, train.n_steps=600)" in said) is (code == 1)
    assert ("1 of 1 jobs are not done; go on with: velora train resume=here" in said) is (code == 1)
