"""``velora distill``: a run with a teacher, resumed by the same commands as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.shared import digests
from tests.unit.distill.onnx_files import INSTALL, write

Command = Callable[..., Any]

pytest.importorskip("onnxruntime", reason=INSTALL)

TINY = (
    "train.n_steps=60",
    "train.batch_size=4",
    "train.evaluation_episodes=1",
    "train.evaluation_max_steps=50",
    "train.progress_bar=false",
    "train.summary=false",
    "agent.n_neurons=3",
    "agent.warmup_steps=20",
    "agent.buffer_size=100",
    "distill.beta_steps=10",
    "checkpoint.frequency=1",
    "device=cpu",
)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write(tmp_path / "policy.onnx", [[0.5, -1.0, 0.25]])


def test_a_student_is_trained_kept_and_gone_on_with(command: Command, tmp_path: Path, policy: Path) -> None:
    words = ("env/mask=velocity", "train.seed=3", *TINY)
    code, out, err = command("distill", "policy.onnx", *words, "hydra.run.dir=run")
    assert code == 0, err
    assert out.startswith("teacher   policy.onnx: return -")
    assert "velora train resume=run" in out
    settings = OmegaConf.load(tmp_path / "run/config.yaml")
    assert settings.distill.teacher == "policy.onnx"
    assert settings.agent._target_ == "velora.models.LiquidTD3"
    assert (tmp_path / "run/teacher.onnx").read_bytes() == policy.read_bytes()
    metadata = json.loads((tmp_path / "run/checkpoints/final/metadata.json").read_text())
    assert metadata["agent"] == "liquid_td3"
    assert metadata["environment"]["wrappers"] == [{"name": "DropObservation", "kwargs": {"drop": "velocity"}}]


@pytest.mark.slow
def test_a_run_goes_on_without_the_file_that_it_was_given(command: Command, tmp_path: Path, policy: Path) -> None:
    for name, n_steps in (("run", 60), ("whole", 90)):
        code, _, err = command(
            "distill", "policy.onnx", "train.seed=3", *TINY, f"train.n_steps={n_steps}", f"hydra.run.dir={name}"
        )
        assert code == 0, err
    policy.unlink()
    code, _, err = command("train", "resume=run", "train.n_steps=90")
    assert code == 0, err
    whole, parts = (digests(tmp_path / f"{name}/checkpoints/final") for name in ("whole", "run"))
    assert whole["model_state.safetensors"] == parts["model_state.safetensors"]


@pytest.mark.slow
def test_a_checkpoint_teaches_and_is_kept_too(command: Command, tmp_path: Path) -> None:
    code, out, err = command("distill", "zoo:pendulum", *TINY, "train.seeds=2", "hydra.run.dir=run")
    assert code == 0, err
    assert out.startswith("teacher   zoo:pendulum: return -")
    assert (tmp_path / "run/teacher/metadata.json").exists()
    for words in (("distill", "resume=run", "train.n_steps=80"), ("evaluate", "run", "episodes=1", "max_steps=50")):
        code, _, err = command(*words)
        assert code == 0, err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("missing.onnx",), "velora distill: teacher: missing.onnx: can't be read (No such file or directory)"),
        (
            ("policy.onnx", "env=cartpole", "agent=liquid_sac"),
            "reads 3 numbers (obs (any, 3)), and the environment shows 4",
        ),
        pytest.param(
            ("policy.onnx", "agent=liquid_ppo", "agent.sequence_length=8"),
            "expected a student that replays",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("policy.onnx", "env.workers=1"),
            "env.workers: the teacher can't see environments in workers; leave it out",
            marks=pytest.mark.slow,
        ),
        (
            ("policy.onnx", "-m", "train.seed=1,2"),
            "velora distill: -m (--multirun): is for velora train; several seeds are",
        ),
        (("env=pendulum",), "distill.teacher: needs a value; give it as distill.teacher=..."),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, policy: Path, words: tuple[str, ...], message: str
) -> None:
    code, _, err = command("distill", *words, "device=cpu", "hydra.run.dir=run")
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.onnx"]
