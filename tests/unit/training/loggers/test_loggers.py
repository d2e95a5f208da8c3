"""Loggers that fail, and a launcher's variables in the environment: neither ends a run, nor drops its rows."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import DummyLogger

from velora.callbacks import Callback
from velora.models import LiquidDDPG
from velora.training import TrainResult


class Failing(DummyLogger):
    """Count what it is given, and fail in one of its methods from the second call on."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.calls = where, 0

    def _called(self, name: str) -> None:
        if name == self.where:
            self.calls += 1
            if self.calls > 1 or name != "log_metrics":
                raise ConnectionError("the server is gone\nand this is the second line")

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        self._called("log_metrics")

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        self._called("log_hyperparams")

    def finalize(self, status: str) -> None:
        self._called("finalize")


class Describe(Callback):
    def on_fit_start(self, trainer: Any, agent: Any) -> None:
        trainer.log_settings({"batch_size": 4})


def train(*loggers: Any) -> TrainResult:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
    env = gym.make("Pendulum-v1", max_episode_steps=5)
    quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
    return agent.train(env, 4, n_episodes=4, log_every=2, callbacks=[Describe()], logger=loggers, **quiet)


def returns(directory: Path) -> list[float]:
    (path,) = directory.rglob("metrics.csv")
    with path.open() as file:
        return [float(row["episode/return"]) for row in csv.DictReader(file) if row["episode/return"]]


@pytest.mark.parametrize(
    ("where", "when"), [("log_metrics", "step 6"), ("log_hyperparams", "the settings"), ("finalize", "the end")]
)
def test_a_logger_that_raises_is_told_once_and_gets_nothing_more(
    tmp_path: Path, where: str, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing, whole = Failing(where), CSVLogger(tmp_path)
    result = train(failing, whole)
    assert result.status == "finished"
    assert failing.calls == (2 if where == "log_metrics" else 1)
    assert returns(tmp_path) == pytest.approx(result.returns[0])
    told = [record.getMessage() for record in caplog.records if "Failing" in record.getMessage()]
    line = (
        f"Failing failed at {when} (ConnectionError: the server is gone) and gets nothing more; the run goes on, with "
        "all its rows in the metrics"
    )
    assert told == [line]


LAUNCHED = """
import sys
import gymnasium as gym
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import CSVLogger
from velora.models import LiquidDDPG

agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)
env = gym.make("Pendulum-v1", max_episode_steps=5)
stock = LambdaCallback(on_train_epoch_end=lambda trainer, module: print("stock", trainer.current_epoch))
result = agent.train(env, 4, n_episodes=3, callbacks=[stock], logger=CSVLogger(sys.argv[1]), summary=False,
                     progress_bar=False)
print(*result.returns[0])
"""
RANKS = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
LAUNCHERS = {
    "torchrun": {**RANKS, "TORCHELASTIC_RUN_ID": "x", "GROUP_RANK": "0", "LOCAL_WORLD_SIZE": "4"},
    "ranks alone": {"RANK": "3"},
    "SLURM": {
        "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "7", "SLURM_PROCID": "2", "SLURM_LOCALID": "2",
        "SLURM_NODEID": "0", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "4",
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", ["torchrun", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ranks alone", "SLURM"))]
)
def test_a_launchers_variables_neither_end_a_run_nor_drop_its_rows(tmp_path: Path, launcher: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHED, str(tmp_path)],
        env={**os.environ, **LAUNCHERS[launcher]},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *stock, last = done.stdout.splitlines()
    assert stock == ["stock 0", "stock 1", "stock 2"]
    assert returns(tmp_path) == pytest.approx([float(value) for value in last.split()])


def test_the_rank_that_lightning_reads_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 3, raising=False)
    result = train(CSVLogger(tmp_path))
    assert returns(tmp_path) == pytest.approx(result.returns[0])
    assert rank_zero_only.rank == 3  # type: ignore[attr-defined]
