"""Stock Lightning callbacks, unmodified, in a real run: each that the list says works, and each that it refuses."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from lightning.pytorch import callbacks as stock
from lightning.pytorch.loggers import CSVLogger

from velora import callbacks
from velora.callbacks import Callback, EarlyStopping, SaveCheckpoints
from velora.core.errors import SettingError
from velora.models import LiquidDDPG, LiquidPPO
from velora.training import TrainResult
from velora.training.lightning_trainer import MONITORS, MissingPartError
from velora.training.stock_list import REFUSED, WORKS


def train(*callbacks: Any, n_episodes: int = 6, **settings: Any) -> TrainResult:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=0, buffer_size=100)
    env = gym.make("Pendulum-v1", max_episode_steps=6)
    return agent.train(
        env, 4, n_episodes=n_episodes, callbacks=callbacks, progress_bar=False, summary=False, **settings
    )


def test_early_stopping_on_the_window_mean() -> None:
    result = train(
        stock.EarlyStopping("return_mean", patience=1, mode="max", min_delta=1e6, check_on_train_epoch_end=True)
    )
    assert (result.status, len(result.returns[0])) == ("stopped", 2)
    assert result.stop_reason == "Lightning's EarlyStopping set should_stop"


@pytest.mark.parametrize("at_the_end_of_an_epoch", [None, False, True])
def test_early_stopping_waits_for_evaluations_and_judges_each_once(at_the_end_of_an_epoch: bool | None) -> None:
    stop = stock.EarlyStopping(
        "evaluation", patience=1, mode="max", min_delta=1e6, check_on_train_epoch_end=at_the_end_of_an_epoch
    )
    result = train(stop, n_episodes=8, evaluate_every=2, evaluation_episodes=1)
    assert (result.status, [e.episode for e in result.evaluations]) == ("stopped", [2, 4])


@pytest.mark.parametrize("monitor", [*MONITORS, "critic/loss"])
def test_every_monitor_that_the_documentation_names(monitor: str) -> None:
    result = train(stock.EarlyStopping(monitor, patience=1, min_delta=1e6), n_episodes=8, evaluate_every=1)
    assert result.status == "stopped"


def test_a_monitor_that_nothing_measures_is_an_error_once_that_is_sure() -> None:
    with pytest.raises(SettingError, match="monitor='retrun': nothing of that name is measured; did you mean 'return'"):
        train(stock.EarlyStopping("retrun"))
    with pytest.raises(SettingError, match="needs rounds of evaluation, but evaluate_every is None"):
        train(stock.EarlyStopping("evaluation"))
    agent = LiquidDDPG(3, 6, 1, device="cpu", seeds=[1, 2])
    with pytest.raises(SettingError, match="EarlyStopping knows of one seed, and this run has 2"):
        agent.train("Pendulum-v1", 4, n_episodes=1, callbacks=stock.EarlyStopping("return"))  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_timer_stops_when_its_limit_is_reached(interval: str) -> None:
    timer = stock.Timer(duration=timedelta(milliseconds=200), interval=interval)
    result = train(timer, n_episodes=1_000_000)
    assert (result.status, result.stop_reason) == ("stopped", "Lightning's Timer set should_stop")
    assert timer.time_elapsed() >= 0.2


def test_the_time_of_a_timer_goes_on_over_a_resume(tmp_path: Path) -> None:
    limit = timedelta(milliseconds=200)
    train(stock.Timer(duration=limit), SaveCheckpoints(tmp_path / "run"), n_episodes=1_000_000)
    again = train(
        stock.Timer(duration=limit), SaveCheckpoints(tmp_path / "run"), n_episodes=1_000_000, resume=tmp_path / "run"
    )
    assert sum(again.steps) <= 6


def test_lambda_callback_fires_and_counts_epochs_from_zero() -> None:
    epochs: list[int] = []
    train(stock.LambdaCallback(on_train_epoch_end=lambda trainer, module: epochs.append(trainer.current_epoch)))
    assert epochs == list(range(6))


def test_epochs_are_counted_where_several_environments_end_them_together() -> None:
    starts: list[int] = []
    ends: list[int] = []
    told = stock.LambdaCallback(
        on_train_epoch_start=lambda trainer, module: starts.append(trainer.current_epoch),
        on_train_epoch_end=lambda trainer, module: ends.append(trainer.current_epoch),
    )
    agent = LiquidPPO(3, 6, 1, n_envs=3, rollout_steps=8, sequence_length=4, device="cpu", seed=0)
    agent.train(
        gym.make("Pendulum-v1", max_episode_steps=5),
        8,
        n_episodes=6,
        callbacks=[told],  # type: ignore[list-item]
        progress_bar=False,
        summary=False,
    )
    assert ends == list(range(6))
    assert starts == [0, 0, 0, 3, 3, 3]  # episodes that are open together: the next to end has this number


def test_model_checkpoint_keeps_the_best_as_checkpoints_of_ours(tmp_path: Path) -> None:
    keep = stock.ModelCheckpoint(
        tmp_path, monitor="return", mode="max", save_top_k=2, filename="{epoch}", save_on_train_epoch_end=True
    )
    result = train(keep, run_dir=tmp_path / "run")
    best = sorted(range(6), key=lambda i: result.returns[0][i])[-2:]
    assert {p.name for p in tmp_path.glob("*.ckpt")} == {f"epoch={i}.ckpt" for i in best}
    loaded = LiquidDDPG.load(tmp_path / f"epoch={best[-1]}.ckpt", buffer=True)
    assert loaded.progress[0].episode == best[-1] + 1


def test_model_checkpoint_on_evaluations_in_its_own_directory(tmp_path: Path) -> None:
    keep = stock.ModelCheckpoint(monitor="evaluation", mode="max")
    result = train(keep, run_dir=tmp_path, evaluate_every=2, evaluation_episodes=1)
    best = max(result.evaluations, key=lambda one: one.mean)
    (path,) = (tmp_path / "checkpoints").glob("*.ckpt")
    assert (str(path), LiquidDDPG.load(path).progress[0].episode) == (keep.best_model_path, best.episode)


def test_model_checkpoint_by_updates_with_a_monitor(tmp_path: Path) -> None:
    train(stock.ModelCheckpoint(tmp_path, monitor="critic/loss", every_n_train_steps=10, save_top_k=-1, save_last=True))
    steps = {LiquidDDPG.load(path).progress[0].update for path in tmp_path.glob("*.ckpt")}
    assert steps == {10, 20, 30}


class Fail(stock.Callback):
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 9:
            raise ZeroDivisionError


def test_on_exception_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        train(stock.OnExceptionCheckpoint(tmp_path), Fail())
    assert LiquidDDPG.load(tmp_path / "on_exception.ckpt", buffer=True).progress[0].update == 10
    train(stock.OnExceptionCheckpoint(tmp_path / "well"), n_episodes=1)
    assert not (tmp_path / "well").exists()


def test_tables_of_the_networks(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="lightning.pytorch"):
        train(stock.ModelSummary(), stock.RichModelSummary(), n_episodes=1)
    assert "target_critic" in caplog.text
    assert "target_critic" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [stock.TQDMProgressBar, stock.RichProgressBar])
def test_bars_take_the_place_of_ours(kind: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In a run that goes on in the middle of an episode too."""
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=0, buffer_size=100)
    env, own = gym.make("Pendulum-v1", max_episode_steps=6), SaveCheckpoints(tmp_path / "run")
    agent.train(env, 4, n_episodes=6, n_steps=15, callbacks=[kind(), own], summary=False)
    printed = "".join(capsys.readouterr())
    assert "Epoch 2" in printed
    assert "episode 3/6" not in printed  # as our bar says it
    again = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=0, buffer_size=100)
    own = SaveCheckpoints(tmp_path / "run")
    again.train(env, 4, n_episodes=6, callbacks=[kind(), own], summary=False, resume=tmp_path / "run")
    assert "Epoch 5" in "".join(capsys.readouterr())


def test_every_callback_that_works_is_tested_here() -> None:
    """And the list knows all that Lightning has."""
    text = Path(__file__).read_text()
    assert [name for name in WORKS if f"stock.{name}" not in text] == []
    bases = {"Callback", "Checkpoint", "ProgressBar"}
    assert set(stock.__all__) - bases == set(WORKS) | set(REFUSED)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "BasePredictionWriter": {"write_interval": "epoch"},
    "GradientAccumulationScheduler": {"scheduling": {0: 2}},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "StochasticWeightAveraging": {"swa_lrs": 0.01},
    "ThroughputMonitor": {"batch_size_fn": len},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_lightning_s_own_loops_is_refused_at_the_start(name: str) -> None:
    callback = getattr(stock, name)(**ARGUMENTS.get(name, {}))
    instead = REFUSED[name].replace("`", "")
    with pytest.raises(SettingError) as error:
        train(callback)
    assert str(error.value) == f"callbacks: Lightning's {name} needs Lightning's own loops; use {instead}"
    if instead.startswith("velora.callbacks."):
        assert issubclass(getattr(callbacks, instead.split(",")[0].rpartition(".")[2]), Callback)


def test_a_subclass_of_a_refused_callback_is_refused() -> None:
    class Mine(stock.LearningRateMonitor):
        pass

    with pytest.raises(SettingError, match="Mine is a LearningRateMonitor of Lightning's, which needs"):
        train(Mine())


class Log(stock.Callback):
    """A callback as people write them for Lightning."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.seen.append((pl_module.current_epoch, pl_module.global_step, len(pl_module.optimizers())))
        pl_module.log("mine", torch.tensor(1.5 + trainer.current_epoch), prog_bar=True)
        pl_module.log_dict({"other": 2})


def test_the_module_counts_epochs_and_its_log_reaches_monitors_and_loggers(tmp_path: Path) -> None:
    log, logger = Log(), CSVLogger(tmp_path, name="", version="")
    result = train(log, stock.EarlyStopping("mine", mode="min", patience=2), logger=logger)
    assert result.status == "stopped"
    assert log.seen == [(0, 2, 2), (1, 8, 2), (2, 14, 2)]
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    assert [(row["step"], row["mine"]) for row in rows if row["mine"]] == [("6", "1.5"), ("12", "2.5"), ("18", "3.5")]
    assert [row["other"] for row in rows if row["other"]] == ["2.0"] * 3


def test_hooks_that_a_run_never_reaches_are_told(caplog: pytest.LogCaptureFixture) -> None:
    class Never(stock.Callback):
        def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None: ...

    class Sometimes(Never):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None: ...

    with pytest.raises(SettingError, match="Never: a run never reaches on_validation_epoch_end; on_validation_start"):
        train(Never())
    with pytest.raises(SettingError, match="LambdaCallback: a run never reaches on_validation_batch_end"):
        train(stock.LambdaCallback(on_validation_batch_end=print))
    train(Sometimes(), n_episodes=1)
    assert "Sometimes: a run never reaches on_validation_epoch_end; its other hooks are called" in caplog.text


def test_a_part_that_the_trainer_lacks_is_named() -> None:
    class Reach(stock.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            assert not hasattr(trainer, "_logger_connector")
            _ = trainer.datamodule

    with pytest.raises(MissingPartError, match=r"asked for trainer\.datamodule, which a run here doesn't have"):
        train(Reach())


def test_one_callback_needs_no_list() -> None:
    told: list[int] = []
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1)
    one = callbacks.Lambda(on_train_end=lambda trainer, agent: told.append(trainer.step))
    quiet: dict[str, Any] = {"progress_bar": False, "summary": False}
    agent.train("Pendulum-v1", 4, n_steps=3, callbacks=one, **quiet)
    assert told == [3]
    for wrong, complaint in ((EarlyStopping, "add parentheses"), (3, "got 3"), ("mine", "got 'm'")):
        with pytest.raises(SettingError, match=complaint):
            agent.train("Pendulum-v1", 4, n_steps=3, callbacks=wrong, **quiet)  # type: ignore[arg-type]


def test_stock_and_own_callbacks_are_resumed_together(tmp_path: Path) -> None:
    def both() -> list[Any]:
        return [
            stock.EarlyStopping("return_mean", patience=50, mode="max", check_on_train_epoch_end=True),
            EarlyStopping(patience=50),
            SaveCheckpoints(tmp_path / "checkpoints", frequency=3),
        ]

    train(*both(), n_episodes=3)
    again = both()
    train(*again, n_episodes=6, resume=tmp_path / "checkpoints")
    whole = both()[:2]
    train(*whole, n_episodes=6)
    for resumed, straight in zip(again[:2], whole, strict=True):
        assert str(resumed.state_dict()) == str(straight.state_dict())
