"""A save that a hook asks for, wherever in a step: the run goes on from it to the bits of the undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from tests.shared import QUIET, digests
from velora.callbacks.base import HOOKS, Callback
from velora.checkpoint import Checkpoint
from velora.core.errors import SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidTD3
from velora.utils import set_seed

SMALL: dict[str, Any] = {"device": "cpu", "seed": 1}
REPLAYING: dict[str, Any] = {**SMALL, "warmup_steps": 4, "buffer_size": 50}
ROLLOUTS: dict[str, Any] = {"rollout_steps": 4, "sequence_length": 2, "n_epochs": 1}

MAKERS: dict[str, Callable[[], Agent]] = {
    "ddpg": lambda: LiquidDDPG(3, 6, 1, **REPLAYING),
    "td3": lambda: LiquidTD3(3, 6, 1, critic="recurrent", critic_units=(4, 4), sequence_length=2, **REPLAYING),
    "ppo": lambda: LiquidPPO(3, 6, 1, normalize_obs=True, **ROLLOUTS, **SMALL),
    "ppo in three environments": lambda: LiquidPPO(3, 6, 1, n_envs=3, **{**ROLLOUTS, "rollout_steps": 2}, **SMALL),
}
WITHIN = HOOKS[HOOKS.index("on_episode_start") : HOOKS.index("on_train_batch_end") + 1]
AROUND: tuple[str, ...] = ("on_fit_start", "on_train_start", "on_episode_end", "on_window_end", "on_evaluation_start")
AROUND += ("on_validation_start", "on_validation_end", "on_evaluation_end", "on_train_epoch_end")


class SaveAt(Callback):
    """Save the run at one call of one hook, and at its end; note what is there when ``save`` returns."""

    def __init__(self, home: Path, at: int) -> None:
        self.home, self.at, self.calls = home, at, 0
        self.named: Path | None = None
        self.was_there: bool | None = None

    def note(self, trainer: Any, agent: Any, *given: Any) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.named = trainer.save(self.home / "asked")
            self.was_there = self.named.exists()

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        trainer.save(self.home / "final")


def saving(hook: str, home: Path, at: int = 0) -> SaveAt:
    def fire(self: SaveAt, *given: Any) -> None:
        self.note(*given)

    made: SaveAt = type("Saving", (SaveAt,), {hook: fire})(home, at)
    return made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Train each of them once, with no hook within a step; return what its last checkpoint holds."""
    found = {}
    for kind, make in MAKERS.items():
        home = tmp_path_factory.mktemp("whole")
        train(make, saving("on_fit_start", home))
        found[kind] = digests(home / "final")
    return found


def train(make: Callable[[], Agent], *callbacks: Any, **more: Any) -> Agent:
    set_seed(3)
    agent = make()
    env = gym.make("Pendulum-v1", max_episode_steps=5)
    budget = {"n_steps": 24, "window_size": 2, "evaluate_every": 2, "evaluation_episodes": 1}
    agent.train(env, 4, callbacks=callbacks, **budget, **QUIET, **more)  # type: ignore[arg-type]
    return agent


@pytest.mark.parametrize("kind", ["ddpg", "ppo"])
@pytest.mark.parametrize("hook", [*AROUND, *WITHIN])
@pytest.mark.some(12)
def test_a_save_from_any_hook_is_gone_on_from_to_the_same_bits(
    tmp_path: Path, kind: str, hook: str, undisturbed: dict[str, dict[str, str]]
) -> None:
    make, once = MAKERS[kind], hook in ("on_fit_start", "on_train_start", "on_warmup_end")
    asked = saving(hook, tmp_path / "cut", at=1 if once else 2)
    train(make, asked)
    assert asked.named == tmp_path / "cut" / "asked"
    assert asked.was_there is (hook not in WITHIN)
    train(make, saving(hook, tmp_path / "rest"), resume=asked.named)
    assert digests(tmp_path / "rest" / "final") == undisturbed[kind]
    assert digests(tmp_path / "cut" / "final") == undisturbed[kind]


@pytest.mark.parametrize("kind", ["td3", "ppo in three environments"])
@pytest.mark.parametrize("hook", ["on_episode_start", "on_env_step", "on_train_batch_end"])
@pytest.mark.parametrize("at", range(1, 4))
@pytest.mark.some(6)
def test_every_moment_will_do(
    tmp_path: Path, kind: str, hook: str, at: int, undisturbed: dict[str, dict[str, str]]
) -> None:
    asked = saving(hook, tmp_path / "cut", at=at)
    train(MAKERS[kind], asked)
    train(MAKERS[kind], saving(hook, tmp_path / "rest"), resume=asked.named)
    assert digests(tmp_path / "rest" / "final") == undisturbed[kind]


def test_the_save_is_made_at_the_end_of_the_step_after_its_episode_was_closed(tmp_path: Path) -> None:
    names: list[str] = []

    class Note(Callback):
        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 0:  # of the fifth step, which ends the first episode
                trainer.save(tmp_path / "asked")
            names.append("on_train_batch_end")

        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            names.append("on_env_step")

        def on_train_epoch_end(self, trainer: Any, agent: Any) -> None:
            names.append("on_train_epoch_end")

        def on_save_checkpoint(self, trainer: Any, agent: Any, checkpoint: Any) -> None:
            names.append("on_save_checkpoint")

        def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
            names.append(f"saved {path.name}")

    train(MAKERS["ddpg"], Note())
    first = names.index("on_train_batch_end")
    assert names[first : first + 5] == [
        "on_train_batch_end", "on_env_step", "on_train_epoch_end", "on_save_checkpoint", "saved asked"
    ]  # fmt: skip
    saved = Checkpoint.open(tmp_path / "asked").metadata
    assert (saved.progress.episode, saved.progress.step, saved.progress.update) == (1, 5, 1)
    assert saved.buffer is not None
    assert saved.buffer["size"] == 5


def test_an_update_is_counted_and_its_metrics_are_there_when_its_last_hook_fires() -> None:
    seen: list[tuple[int, int, bool]] = []

    class Count(Callback):
        def on_train_batch_start(self, trainer: Any, agent: Any, batch: Any, batch_idx: int) -> None:
            assert trainer.update == batch_idx

        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            reported = {name: float(value[0]) for name, value in outputs.items()}
            seen.append((batch_idx, trainer.update, trainer.losses() == reported))

    for kind in ("ddpg", "ppo"):
        seen.clear()
        train(MAKERS[kind], Count())
        assert seen == [(n, n + 1, True) for n in range(len(seen))]
        assert len(seen) > 3


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_a_stock_checkpoint_every_few_updates_is_gone_on_from(
    tmp_path: Path, undisturbed: dict[str, dict[str, str]]
) -> None:
    """Its name says how many updates it holds, the one it was saved after among them."""

    def keep() -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / "stock", every_n_train_steps=5, filename="{step}", save_top_k=-1)

    train(MAKERS["ddpg"], keep())
    for update in (5, 10, 15, 20):
        progress = Checkpoint.open(tmp_path / "stock" / f"step={update}.ckpt").metadata.progress
        assert (progress.step, progress.update) == (update + 4, update)
    for update in (5, 10, 15):
        home = tmp_path / f"from_{update}"
        stock = tmp_path / "stock" / f"step={update}.ckpt"
        train(MAKERS["ddpg"], keep(), saving("on_env_step", home), resume=stock)
        ends = digests(home / "final"), undisturbed["ddpg"]
        for name in ("model_state", "optim_state", "buffer_state"):
            assert ends[0][f"{name}.safetensors"] == ends[1][f"{name}.safetensors"]


def test_a_stock_checkpoint_goes_once_the_next_is_written(tmp_path: Path) -> None:
    there: list[list[str]] = []

    class Look(Callback):
        def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
            there.append(sorted(p.name for p in (tmp_path / "stock").iterdir()))

    keep = ModelCheckpoint(tmp_path / "stock", every_n_train_steps=10, filename="{step}", save_top_k=1)
    train(MAKERS["ddpg"], keep, Look())
    assert there == [["step=10.ckpt"], ["step=10.ckpt", "step=20.ckpt"]]
    assert [path.name for path in (tmp_path / "stock").iterdir()] == ["step=20.ckpt"]


def test_a_save_that_no_step_end_came_for_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class AskAndFail(Callback):
        def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            trainer.save(tmp_path / "asked")
            raise OSError("the disk is full")

        def on_exception(self, trainer: Any, agent: Any, exception: BaseException) -> None:
            trainer.save(tmp_path / "after")

    with pytest.raises(OSError, match="the disk is full"):
        train(MAKERS["ddpg"], AskAndFail())
    assert f"save into {tmp_path / 'asked'}: not done, since the run failed before the end of the step" in caplog.text
    assert not (tmp_path / "asked").exists()
    assert (tmp_path / "after").exists()


def test_a_wrong_save_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    class Wrong(Callback):
        def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
            trainer.save(tmp_path / "asked", seed_index=7)

    with pytest.raises(SettingError, match=r"save: expected a seed_index from 0 to 0, got 7"):
        train(MAKERS["ddpg"], Wrong())


class FailAt(Callback):
    """Fail at a call of a hook, and save what is there then."""

    def __init__(self, home: Path, at: int) -> None:
        self.home, self.at = home, at

    def note(self, *given: Any) -> None:
        self.at -= 1
        if self.at == 0:
            raise OSError("the disk is full")

    def on_exception(self, trainer: Any, agent: Any, exception: BaseException) -> None:
        trainer.save(self.home / "interrupted")


def failing(hook: str, home: Path, at: int) -> FailAt:
    def fire(self: FailAt, *given: Any) -> None:
        self.note(*given)

    made: FailAt = type("Failing", (FailAt,), {hook: fire})(home, at)
    return made


@pytest.mark.parametrize("kind", list(MAKERS))
@pytest.mark.parametrize("hook", ["on_episode_start", "on_warmup_end", "on_train_batch_end", "on_env_step"])
def test_a_hook_that_fails_beside_an_update_leaves_a_whole_run(
    tmp_path: Path, kind: str, hook: str, undisturbed: dict[str, dict[str, str]]
) -> None:
    """Its transition is stored and its update counted, so the rest is as if nothing had failed."""
    make = MAKERS[kind]
    with pytest.raises(OSError, match="the disk is full"):
        train(make, failing(hook, tmp_path, at=1 if hook == "on_warmup_end" else 3))
    train(make, saving(hook, tmp_path / "rest"), resume=tmp_path / "interrupted")
    assert digests(tmp_path / "rest" / "final") == undisturbed[kind]


@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_before_backward", "on_before_optimizer_step"])
def test_a_hook_that_fails_within_an_update_loses_no_transition(tmp_path: Path, hook: str) -> None:
    with pytest.raises(OSError, match="the disk is full"):
        train(MAKERS["ddpg"], failing(hook, tmp_path, at=3))
    saved = Checkpoint.open(tmp_path / "interrupted").metadata
    assert saved.buffer is not None
    assert saved.buffer["size"] == saved.progress.step > 4
    assert train(MAKERS["ddpg"], resume=tmp_path / "interrupted").progress[0].step == 24
