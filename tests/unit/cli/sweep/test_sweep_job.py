"""A job looks at its directory before it does anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
import pytest

from velora.analysis import outcome
from velora.cli.command.compose import composing
from velora.cli.run import claim
from velora.cli.settings import budget
from velora.cli.sweep import job


def test_a_job_that_another_process_ends_after_the_look_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "job"
    run_dir.mkdir()
    with composing():
        cfg = hydra.compose("train")
    truly_claimed = claim.claimed

    @contextmanager
    def claimed_late(directory: Path) -> Iterator[None]:
        """Claim when the other process has come to the end of the job, as it may while torch is imported."""
        outcome.write_result(directory, outcome.Result("finished", -150.0, budget.asked(cfg), ()))
        with truly_claimed(directory):
            yield

    monkeypatch.setattr(claim, "claimed", claimed_late)
    assert job.run_job(cfg, run_dir) == -150.0
    assert "done already" in capsys.readouterr().out
    assert not (run_dir / "checkpoints").exists()
