"""Several threads train and predict side by side, to the bits of each alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from tests.shared import KERNELS
from velora.callbacks import Callback
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3

OBS = np.array([0.1, 0.2, 0.3], np.float32)
REPLAY: dict[str, Any] = {"warmup_steps": 16, "buffer_size": 100, "critic_units": (8, 8), "device": "cpu"}
ROLLOUT: dict[str, Any] = {"rollout_steps": 16, "sequence_length": 4, "critic_units": (8, 8), "device": "cpu"}
AGENTS: dict[str, Callable[..., Agent]] = {
    "ddpg": lambda **own: LiquidDDPG(3, 4, 1, **REPLAY, **own),
    "td3": lambda **own: LiquidTD3(3, 4, 1, cell="gru", critic="recurrent", sequence_length=3, **REPLAY, **own),
    "sac": lambda **own: LiquidSAC(3, 4, 1, normalize_obs=True, **REPLAY, **own),
    "ppo": lambda **own: LiquidPPO(3, 4, 1, n_epochs=3, **ROLLOUT, **own),
}


@pytest.fixture(autouse=True)
def _threads_take_turns() -> Iterator[None]:
    """In the middle of recordings too."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def _train(name: str, kernel: str, n_seeds: int, callbacks: tuple[Callback, ...] = ()) -> list[Any]:
    """Train a small agent, natively on two threads of its own; return its weights and what it has lived."""
    agent = AGENTS[name](kernel=kernel, seeds=range(n_seeds))
    quiet: dict[str, Any] = {"progress_bar": False, "summary": False, "callbacks": list(callbacks)}
    result = agent.train("Pendulum-v1", 8, n_steps=40, threads=2 if kernel == "native" else 1, **quiet)
    assert all(p.update > 0 for p in agent.progress)
    nets = agent.networks.items()
    weights = {f"{net}.{name}": p.tolist() for net, module in nets for name, p in module.named_parameters()}
    return [result.status, result.returns, weights, agent.buffer._rows.tolist()]


def _answers(agent: Agent) -> list[Any]:
    action, hidden = agent.predict(OBS)
    after, _ = agent.predict(OBS, hidden)
    return [action.tolist(), hidden.tolist(), after.tolist()]


class _Meet(Callback):
    """Begin to learn, and make each of the first updates, when all others are about to."""

    def __init__(self, others: threading.Barrier) -> None:
        self.others, self.left = others, 20

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step > 10 and self.left:
            self.left -= 1
            self.others.wait(timeout=60.0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.some(1)
def test_trainings_and_predictions_keep_apart(kernel: str) -> None:
    names = list(AGENTS)
    alone = [_train(name, kernel, 2) for name in names]
    quiet = AGENTS["ddpg"](kernel=kernel, seed=9)
    expected, answers, is_over = _answers(quiet), [], threading.Event()

    def ask() -> None:
        while not is_over.wait(0.001):
            answers.append(_answers(quiet))

    others = threading.Barrier(len(names))
    with ThreadPoolExecutor(len(names) + 1) as pool:
        asked = pool.submit(ask)
        try:
            trained = list(pool.map(lambda name: _train(name, kernel, 2, (_Meet(others),)), names))
        finally:
            is_over.set()
        asked.result()
    assert trained == alone
    assert len(answers) > 10
    assert all(answer == expected for answer in answers)


def test_two_trainings_of_one_kind_keep_apart() -> None:
    alone, others = _train("ddpg", "native", 1), threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: _train("ddpg", "native", 1, (_Meet(others),)), range(2))) == [alone, alone]


class _Then(Callback):
    """Say when a run has begun, and wait for another before it begins to learn, or before it ends."""

    def __init__(self, begun: threading.Event, before_first: threading.Event, before_end: threading.Event) -> None:
        self.begun, self.before_first, self.before_end = begun, before_first, before_end

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        self.begun.set()
        assert self.before_first.wait(60.0)

    def on_train_end(self, trainer: Any, agent: Any) -> None:
        assert self.before_end.wait(60.0)


def test_the_threads_of_pytorch_are_given_back_by_the_last_run() -> None:
    """Though it began when another run had changed them, and to threads that begin afterwards too."""
    first_begun, second_begun, first_over, at_once = (threading.Event() for _ in range(4))
    at_once.set()

    def first() -> None:
        _train("ddpg", "numpy", 1, (_Then(first_begun, second_begun, at_once),))
        first_over.set()

    def second() -> int:
        assert first_begun.wait(60.0)
        _train("ddpg", "native", 1, (_Then(second_begun, at_once, first_over),))
        return torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(2) as pool:
            begun = pool.submit(first)
            assert pool.submit(second).result() == 3
            begun.result()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
