"""Checkpoints that are written while training goes on: what they hold, and who is told when."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from tests.shared import QUIET, digests
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint, contents, files
from velora.core import ram
from velora.core.errors import CheckpointError, NonFiniteError
from velora.models import LiquidDDPG
from velora.training import TrainResult
from velora.utils import set_seed


def make(**settings: Any) -> LiquidDDPG:
    return LiquidDDPG(3, 6, 1, device="cpu", buffer_size=200, **{"seed": 1, "warmup_steps": 4, **settings})


def train(*callbacks: Callback, agent: LiquidDDPG | None = None, **more: Any) -> TrainResult:
    set_seed(3)
    env = gym.make("Pendulum-v1", max_episode_steps=10)
    return (agent or make()).train(env, 4, callbacks=callbacks, **{"n_steps": 60, **QUIET, **more})


class Gate:
    """Hold every write of a tensor file in the background until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open, self.threads = threading.Event(), set[str]()
        write_all = files.write_all

        def wait(descriptor: int, data: bytes | memoryview) -> None:
            self.threads.add(threading.current_thread().name)
            if threading.current_thread() is not threading.main_thread():
                assert self.is_open.wait(60)
            write_all(descriptor, data)

        monkeypatch.setattr(files, "write_all", wait)


class Save(Callback):
    """Save at one step in the background, and note at which step one is told."""

    def __init__(self, directory: Path, at: int = 25, *, failed: Any = None, seeds: int = 1) -> None:
        self.directory, self.at, self.failed, self.seeds = directory, at, failed, seeds
        self.told: list[tuple[str, int, str]] = []

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        if trainer.step == self.at:
            for k in range(self.seeds):
                trainer.save(self.directory / f"asked{k}", wait=False, failed=self.failed, seed_index=k)

    def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
        assert Checkpoint.open(path).path == path
        self.told.append((path.name, trainer.step, threading.current_thread().name))


class Open(Callback):
    def __init__(self, gate: Gate, at: int) -> None:
        self.gate, self.at = gate, at

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        if trainer.step == self.at:
            self.gate.is_open.set()
            deadline = time.monotonic() + 60
            while trainer._saving._jobs and not trainer._saving._jobs[-1].done.is_set():
                assert time.monotonic() < deadline
                time.sleep(0.001)


def test_it_holds_the_moment_that_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty steps later, with other weights and other rows, it is written as it was."""

    class SaveAtOnce(Callback):
        def on_step_end(self, trainer: Any, agent: Any) -> None:
            if trainer.step == 25:
                trainer.save(tmp_path / "at_once")

    train(SaveAtOnce())
    gate = Gate(monkeypatch)
    save = Save(tmp_path)
    train(save, Open(gate, at=45))
    assert gate.threads == {"velora-save"}
    assert save.told == [("asked0", 45, "MainThread")]
    assert digests(tmp_path / "asked0") == digests(tmp_path / "at_once")


def test_a_run_goes_on_from_it_to_the_same_bits(tmp_path: Path) -> None:
    train(SaveCheckpoints(tmp_path / "whole", frequency=None))
    train(SaveCheckpoints(tmp_path / "cut", steps=7, keep_last=2), run_dir=tmp_path)
    for name in ("step49", "step56"):
        train(SaveCheckpoints(tmp_path / name, frequency=None), resume=tmp_path / "cut" / name)
        assert digests(tmp_path / name / "final") == digests(tmp_path / "whole" / "final")


def test_the_end_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    save = Save(tmp_path, at=59)
    threading.Timer(0.3, gate.is_open.set).start()
    train(save)
    assert save.told == [("asked0", 60, "MainThread")]


def test_a_crash_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fail(Callback):
        def on_step_end(self, trainer: Any, agent: Any) -> None:
            if trainer.step == 26:
                threading.Timer(0.3, gate.is_open.set).start()
                raise ZeroDivisionError("mine")

    gate = Gate(monkeypatch)
    save = Save(tmp_path)
    with pytest.raises(ZeroDivisionError, match="mine"):
        train(save, Fail())
    assert save.told == [("asked0", 26, "MainThread")]


def test_the_next_save_of_a_seed_waits_and_that_of_another_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[int] = []
    copy = contents.Contents.copy

    def count(*given: Any, **more: Any) -> contents.Contents:
        copies.append(1)
        return copy(*given, **more)

    monkeypatch.setattr(contents.Contents, "copy", count)
    gate = Gate(monkeypatch)
    save = Save(tmp_path, seeds=2)
    again = Save(tmp_path / "again", at=30, seeds=1)

    class Watch(Callback):
        def on_step_end(self, trainer: Any, agent: Any) -> None:
            if trainer.step == 29:
                assert len(copies) == 2
                assert len(trainer._saving._jobs) == 2
                threading.Timer(0.3, gate.is_open.set).start()

    train(Watch(), save, again, agent=make(seed=None, seeds=[1, 2]))
    assert save.told[0] == ("asked0", 30, "MainThread")
    assert sorted(name for name, _, _ in save.told) == ["asked0", "asked0", "asked1"]
    assert [Checkpoint.open(tmp_path / f"asked{k}").metadata.seed for k in range(2)] == [1, 2]
    assert len(copies) == 3


def full(descriptor: int, data: bytes | memoryview) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_refusal_is_told_who_asked_or_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "write_all", full)
    told: list[OSError] = []
    save = Save(tmp_path, failed=told.append)
    assert train(save).status == "finished"
    line = (
        f"{tmp_path / 'asked0' / 'model_state.safetensors'}: can't be written (No space left on device); nothing was "
        "changed; check the free space and the permissions, or save elsewhere"
    )
    assert [str(error) for error in told] == [line]
    assert (save.told, list(tmp_path.iterdir())) == ([], [])
    with pytest.raises(CheckpointError, match=r"asked0/model_state\.safetensors: can't be written \(No space left"):
        train(Save(tmp_path, at=60))


class Spoil(Callback):
    """Make a weight of the first seed's critic infinite, behind the back of every guard."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        if trainer.step == self.at:
            with torch.no_grad():
                next(agent.networks["critic"].parameters()).view(agent.n_seeds, -1)[0, 0] = float("inf")


BAD = r"after \d+ steps: save into step25/: model_state\S+: critic\.\S+: expected finite values, found NaN or infinity"


def test_weights_of_nan_are_never_saved_and_said_at_the_end_of_the_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "c"
    with pytest.raises(NonFiniteError, match=f"seed 1: {BAD}"):
        train(Spoil(25), SaveCheckpoints(home, frequency=None, steps=25), n_steps=25)
    assert {path.name for path in home.iterdir() if path.is_dir()} == set()
    assert "nothing is saved of the end of the run: seed 1: after 25 steps: save into step25/: " in caplog.text


def test_a_seed_whose_weights_cannot_be_saved_is_stopped_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saves, agent = (
        SaveCheckpoints(tmp_path / "c", frequency=None, steps=25),
        make(seed=None, seeds=[1, 2], warmup_steps=90),
    )
    result = train(Spoil(25), saves, agent=agent, n_steps=60)
    assert (result.status, result.lost) == ("finished", [0])
    assert re.search(f"seed 1: {BAD}; nothing was saved; it is stopped, the others go on", caplog.text)
    assert sorted(path.parent.name for path in (tmp_path / "c/seed2").glob("*/metadata.json")) == [
        "final",
        "step25",
        "step50",
    ]
    assert not list((tmp_path / "c").glob("seed1/*/metadata.json"))


def test_at_the_end_a_seed_that_cannot_be_saved_leaves_the_others_saved(tmp_path: Path) -> None:
    agent = make(seed=None, seeds=[1, 2], warmup_steps=90)
    with pytest.raises(NonFiniteError, match=r"seed 1: after 60 steps: .*expected finite values"):
        train(Spoil(60), SaveCheckpoints(tmp_path / "c", frequency=None), agent=agent, n_steps=60)
    assert [path.parent.name for path in (tmp_path / "c").glob("*/final")] == ["seed2"]


def test_what_fits_in_memory_only_once_is_written_before_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "SMALL_BYTES", 0)
    monkeypatch.setattr(ram, "available_bytes", lambda: 1000)
    monkeypatch.setattr(contents.Contents, "copy", lambda *given, **more: pytest.fail("there is no memory for it"))
    save = Save(tmp_path)
    train(save)
    assert save.told == [("asked0", 25, "MainThread")]
