"""What breaks bits is in the checkpoint, and a difference is one line at a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.shared import QUIET
from velora import __version__, kernels
from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.models import LiquidDDPG
from velora.training.resume.circumstances import differences

ENDING = "now; the bits may differ from here"


def train(
    home: Path,
    n_steps: int,
    *,
    batch_size: int = 4,
    limit: int = 10,
    env_id: str = "Pendulum-v1",
    threads: int | None = None,
    resume: Path | None = None,
    **own: Any,
) -> None:
    env = gym.make(env_id, max_episode_steps=limit)
    sizes = env.observation_space.shape[0], 6, env.action_space.shape[0]  # type: ignore[index]
    agent = LiquidDDPG(*sizes, warmup_steps=10, buffer_size=100, seed=1, **{"device": "cpu", **own})
    saving = SaveCheckpoints(home, frequency=None)
    agent.train(env, batch_size, n_steps=n_steps, callbacks=[saving], threads=threads, resume=resume, **QUIET)
    env.close()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith("resume")]


def circumstances(home: Path) -> dict[str, Any]:
    state = Checkpoint.open(home / "final").metadata.train_state
    assert state is not None
    found: Any = state["circumstances"]
    return dict(found)


def test_a_checkpoint_says_under_what_it_was_trained(tmp_path: Path) -> None:
    train(tmp_path, 30, kernel="torch")
    assert circumstances(tmp_path) == {
        "batch_size": 4,
        "kernel": f"torch ({torch.backends.cpu.get_cpu_capability()}, 1 thread)",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "gymnasium": gym.__version__,
    }


def test_the_simulator_of_an_environment_is_named_with_its_version(tmp_path: Path) -> None:
    mujoco = pytest.importorskip("mujoco")
    train(tmp_path, 12, env_id="InvertedPendulum-v5")
    assert circumstances(tmp_path)["mujoco"] == mujoco.__version__


def test_nothing_is_said_where_nothing_differs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, 30)
    train(tmp_path, 40, resume=tmp_path)
    assert said(caplog) == []


def test_batch_size_and_time_limit_are_a_line_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, 35)
    train(tmp_path, 50, batch_size=6, limit=15, resume=tmp_path)
    assert said(caplog) == [
        "resume: the environment's max_episode_steps was 10, is 15; the run goes on, but not to the same bits",
        f"resume: batch_size was 4, is 6 {ENDING}",
    ]
    caplog.clear()
    train(tmp_path, 60, batch_size=6, limit=15, resume=tmp_path)  # the new ones are the run's from there
    assert said(caplog) == []


@pytest.mark.skipif(kernels.extension is None, reason="needs the native kernel")
def test_another_kernel_is_a_line_and_so_are_threads_where_they_matter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    native = f"native ({kernels.instruction_set('native')})"
    one, two = (f"torch ({kernels.instruction_set('torch')}, {n})" for n in ("1 thread", "2 threads"))
    train(tmp_path, 30, threads=2)
    train(tmp_path, 32, threads=1, resume=tmp_path)  # of the native kernel they don't
    assert said(caplog) == []
    train(tmp_path, 34, kernel="torch", resume=tmp_path)
    assert said(caplog) == [f"resume: kernel was {native}, is {one} {ENDING}"]
    caplog.clear()
    train(tmp_path, 36, kernel="torch", threads=2, resume=tmp_path)
    assert said(caplog) == [f"resume: kernel was {one}, is {two} {ENDING}"]


@pytest.mark.skipif(kernels.extension is None, reason="needs the native kernel")
def test_a_machine_without_the_native_kernel_says_what_auto_falls_back_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = f"native ({kernels.instruction_set('native')})"
    train(tmp_path, 30)
    monkeypatch.setattr("velora.kernels.native.binding.extension", None)  # as where it wasn't built
    train(tmp_path, 40, resume=tmp_path)
    numpy = f"numpy ({kernels.instruction_set('numpy')})"
    assert said(caplog) == [f"resume: kernel was {native}, is {numpy} {ENDING}"]


def test_versions_are_a_line_each_and_of_older_checkpoints_that_of_velora(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, 30)
    checkpoint = Checkpoint.open(tmp_path / "final")
    parts = {
        "model_state": checkpoint.read("model_state"), "optim_state": checkpoint.read("optim_state"),
        "buffer_state": checkpoint.read("buffer_state"), "train_state": checkpoint.read("train_state"),
    }  # fmt: skip

    def rewritten(**changes: Any) -> None:
        document: dict[str, Any] = checkpoint.metadata.document()
        state = {**document["train_state"], **changes}
        document |= {"train_state": {k: v for k, v in state.items() if v is not None}, "velora_version": "0.2.9"}
        Checkpoint.write(tmp_path / "final", metadata={**document, "files": {}}, tensors=parts)  # type: ignore[arg-type]

    rewritten(circumstances={**circumstances(tmp_path), "torch": "1.0", "gymnasium": "0.9", "mujoco": "3.0"})
    train(tmp_path, 31, resume=tmp_path)
    velora = f"resume: velora was 0.2.9, is {__version__} {ENDING}"
    assert sorted(said(caplog)) == [
        f"resume: gymnasium was 0.9, is {gym.__version__} {ENDING}",
        f"resume: mujoco was 3.0, is none {ENDING}",
        f"resume: torch was 1.0, is {torch.__version__} {ENDING}",
        velora,
    ]
    caplog.clear()
    parts["train_state"] = {n: t for n, t in parts["train_state"].items() if not n.startswith("state.metrics")}
    rewritten(circumstances=None, metrics=None, lineage=None)  # as checkpoints were before there were such members
    train(tmp_path, 31, resume=tmp_path)
    assert said(caplog) == [velora]


def test_what_was_not_saved_is_unknown() -> None:
    assert differences({}, {"torch": "2.0"}) == []
    assert differences({"torch": "2.0", "mujoco": None}, {"torch": "2.0", "mujoco": "3", "ale_py": "1"}) == [
        f"mujoco was none, is 3 {ENDING}"
    ]
