"""Agents train, predict, save and load to the same bits whatever other code of the process has set."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.wrappers import TransformObservation

from tests.shared import KERNELS
from velora.checkpoint import Checkpoint
from velora.kernels.native import binding
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

REPLAY: dict[str, Any] = {"warmup_steps": 10, "buffer_size": 64, "critic_units": (8, 8)}
ROLLOUT: dict[str, Any] = {"rollout_steps": 16, "sequence_length": 4, "n_epochs": 2, "critic_units": (8, 8)}
NORMALISED: dict[str, Any] = {"normalize_obs": True, "normalize_returns": True}
AGENTS: dict[str, Callable[..., Agent]] = {
    "ddpg": lambda **own: LiquidDDPG(3, 4, 1, **REPLAY, **own),
    "td3": lambda **own: LiquidTD3(3, 4, 1, optimizer="rmsprop", mixed_memory=True, **REPLAY, **NORMALISED, **own),
    "sac": lambda **own: LiquidSAC(3, 4, 1, cell="ltc", **REPLAY, **own),
    "choosing sac": lambda **own: LiquidSAC(4, 4, 2, discrete=True, cell="leaky", **REPLAY, **own),
    "ppo": lambda **own: LiquidPPO(3, 4, 1, **ROLLOUT, **NORMALISED, **own),
    "choosing ppo": lambda **own: LiquidPPO(4, 4, 2, discrete=True, critic="recurrent", **ROLLOUT, **own),
    "seeing td3": lambda **own: LiquidTD3(64, 4, 1, image=(8, 8), **REPLAY, **own),
}  # fmt: skip


def _seen() -> gym.Env[Any, Any]:
    """Show a pendulum as an image."""
    space = Box(0, 255, (8, 8), np.uint8)
    return TransformObservation(
        gym.make("Pendulum-v1"), lambda obs: np.resize((obs * 20 + 100).astype(np.uint8), (8, 8)), space
    )


def _live(name: str, kernel: str, directory: Path) -> dict[str, Any]:
    """Train a small agent, save it, load it, and let both answer; tell all of it."""
    agent = AGENTS[name](seed=3, device="cpu", kernel=kernel)
    env: Any = "CartPole-v1" if agent.discrete else _seen if agent.sees_images else "Pendulum-v1"
    result = agent.train(env, 4, n_steps=34, progress_bar=False, summary=False)
    agent.save(directory / "saved", buffer=True)
    loaded = type(agent).load(directory / "saved", buffer=True, device="cpu", kernel=kernel)
    obs = np.linspace(0.0, 1.0, agent.settings.state_dim)
    return {
        "status": result.status,
        "learned": agent.progress[0].update > 0,
        "files": {n: info.sha256 for n, info in Checkpoint.open(directory / "saved").metadata.files.items()},
        "answers": _answers(agent, obs),
        "loaded answers": _answers(loaded, obs),
        "explored": np.asarray(agent.predict(obs, explore=True)[0]).tolist(),
    }


def _answers(agent: Agent, obs: np.ndarray[Any, Any]) -> list[Any]:
    action, hidden = agent.predict(obs)
    after, _ = agent.predict(np.stack([obs, -obs]), np.stack([hidden, hidden]), dt=1.5)
    told, state = agent.predict(torch.from_numpy(obs).float())
    return [np.asarray(action).tolist(), after.tolist(), told.tolist(), state.tolist(), hidden.dtype]


@functools.cache
def _undisturbed(name: str, kernel: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        return _live(name, kernel, Path(directory))


# ------------------------------------------------------------------------------------------------- what others may set


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def _default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
        assert torch.get_default_device() == torch.device(device)
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(mode=True)  # which also fills fresh memory with NaN
    try:
        yield
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
        assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@contextlib.contextmanager
def _numpy_raises() -> Iterator[None]:
    with np.errstate(all="raise"):
        before = np.geterr()
        yield
        assert np.geterr() == before


OTHERS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "float64": lambda: _default_dtype(torch.float64),
    "float16": lambda: _default_dtype(torch.float16),
    "meta": lambda: _default_device("meta"),
    "deterministic": _deterministic,
    "threads": lambda: _threads(3),
    "warnings": _warnings_are_errors,
    "NumPy errors": _numpy_raises,
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", ["ddpg", "ppo"])
@pytest.mark.some(14)
def test_nothing_that_others_set_changes_a_bit(name: str, kernel: str, other: str, tmp_path: Path) -> None:
    expected = _undisturbed(name, kernel)
    assert expected["status"] == "finished"
    assert expected["learned"]
    with OTHERS[other]():
        assert _live(name, kernel, tmp_path) == expected


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.some(7)
def test_nor_does_all_of_it_together(name: str, kernel: str, tmp_path: Path) -> None:
    kernel = "torch" if name.startswith("seeing") else kernel
    expected = _undisturbed(name, kernel)
    with contextlib.ExitStack() as stack:
        for other in OTHERS.values():
            stack.enter_context(other())
        assert _live(name, kernel, tmp_path) == expected


def test_the_issue_as_it_was_reported() -> None:
    with _default_dtype(torch.float64):
        action, _ = LiquidDDPG(3, 10, 1, seed=0, device="cpu").predict([0.1, 0.2, 0.3])
    assert action == pytest.approx(-0.2938, abs=1e-4)


def test_the_native_kernel_allocates_float32_on_the_cpu() -> None:
    with _default_dtype(torch.float16), _default_device("meta"):
        made = binding.numbers(2, 3)
    assert (made.dtype, made.device.type, made.shape) == (torch.float32, "cpu", (2, 3))


@pytest.mark.slow
def test_warnings_are_errors_from_the_first_import_on() -> None:
    code = (
        "from velora.models import LiquidDDPG\n"
        "agent = LiquidDDPG(3, 4, 1, seed=0, warmup_steps=5, device='cpu')\n"
        "agent.train('Pendulum-v1', 4, n_steps=12, progress_bar=False, summary=False)\n"
        "assert agent.progress[0].update > 0\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
