"""Stock Lightning callbacks, unmodified, in a real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from lightning.pytorch import callbacks as stock

from velora.callbacks import EarlyStopping, SaveCheckpoints
from velora.models import LiquidDDPG, LiquidPPO
from velora.training import TrainResult


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
    assert result.stop_reason == "a Lightning callback set should_stop"


def test_early_stopping_on_evaluation() -> None:
    stop = stock.EarlyStopping("evaluation", patience=1, mode="max", min_delta=1e6, check_on_train_epoch_end=False)
    result = train(stop, n_episodes=8, evaluate_every=2, evaluation_episodes=1)
    assert (result.status, [e.episode for e in result.evaluations]) == ("stopped", [2, 4])


def test_timer_stops_when_the_time_is_up() -> None:
    result = train(stock.Timer(duration={"seconds": 0}, interval="step"), n_episodes=1000)
    assert result.status == "stopped"


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


def test_summary_and_bar_run(capsys: pytest.CaptureFixture[str]) -> None:
    train(stock.ModelSummary(), stock.TQDMProgressBar(), n_episodes=3)
    assert "Epoch" in "".join(capsys.readouterr())


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
