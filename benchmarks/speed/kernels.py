"""Time the same work in every kernel that is there: ``python -m benchmarks.speed.kernels``.

An update is DDPG with 20 neurons, batch 128, of random transitions. A sequence is a cell forward and backward, beside
``torch.nn.GRU``, and a CfC beside that of ncps. One thread; the least of interleaved rounds, so that what else runs on
the machine hardly counts.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import ncps.torch
import ncps.wirings
import numpy as np
import torch
from torch import Tensor, nn

from velora import kernels
from velora.models import LiquidDDPG, learner
from velora.nn import auto_ncp, make_cell, unroll
from velora.nn.cells import CELLS
from velora.nn.run.autograd import TorchNetwork
from velora.nn.sequence import unroll_by_steps

KERNELS = [*(["native"] if kernels.extension else []), "numpy", "torch"]


def filled_agent(kernel: str, **settings: Any) -> LiquidDDPG:
    """Make an agent with random experience; ``"autograd"`` runs every network through its module, step by step."""
    make = partial(LiquidDDPG, 4, 20, 1, warmup_steps=0, buffer_size=2_000, device="cpu", **settings)
    if kernel == "autograd":
        with mock.patch.object(learner, "make_network", lambda module, flat, kernel: TorchNetwork(module, flat)):
            agent = make(kernel="torch")
    else:
        agent = make(kernel=kernel)
    g = np.random.default_rng(0)
    for k in range(agent.n_seeds):
        for i in range(1_000):
            agent.buffer.add(
                k, obs=g.normal(size=4), action=g.uniform(-1, 1, 1), reward=g.normal(), next_obs=g.normal(size=4),
                terminated=i % 50 == 49, truncated=False, dt=1.0, next_dt=1.0, start=i % 50 == 0,
                hidden=0.1 * g.normal(size=agent.state_size),
            )  # fmt: skip
    agent.configure_training()
    return agent


def update(agent: LiquidDDPG) -> None:
    """Make one update of all seeds."""
    rows = tuple(range(agent.n_seeds))
    agent.experience.begin(128, rows)
    agent.experience.finish(0, lambda rows, metrics: None)
    for k in rows:
        agent.progress[k].update += 1


def updates(**settings: Any) -> dict[str, Callable[[], object]]:
    """Name the updates to time."""
    names = [*KERNELS, *([] if "seeds" in settings else ["autograd"])]
    return {name: partial(update, filled_agent(name, **settings)) for name in names}


def sequences(
    batch: int, length: int, inputs: int, neurons: int, outputs: int, kind: str = "cfc"
) -> dict[str, Callable[[], object]]:
    """Name the sequences to time, forward and backward."""
    x, dt = torch.randn(1, batch, length, inputs), torch.ones(1, batch, length)
    cell = make_cell(kind, [auto_ncp(inputs, neurons, outputs, seed=0)], [torch.Generator().manual_seed(0)])
    h = cell.initial_state(batch)

    def ours(kernel: str) -> None:
        with kernels.using(kernel):
            backward(unroll(cell, x, h, dt)[0])

    peers: dict[str, nn.Module] = {"nn.GRU": nn.GRU(inputs, neurons, batch_first=True)}
    if kind == "cfc":
        peers["ncps AutoNCP"] = ncps.torch.CfC(inputs, ncps.wirings.AutoNCP(neurons, outputs), batch_first=True)
    return {
        **{kernel: partial(ours, kernel) for kernel in KERNELS},
        "autograd": lambda: backward(unroll_by_steps(cell, x, h, dt)[0]),
        **{name: partial(lambda peer: backward(peer(x[0])[0]), peer) for name, peer in peers.items()},
    }


def backward(out: Tensor) -> None:
    """Ask for all gradients."""
    out.sum().backward()


def least(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Time every piece of work in turn, round after round; return the least milliseconds of each."""
    best = dict.fromkeys(work, float("inf"))
    for name in work:
        work[name]()
    for _ in range(rounds):
        for name, call in work.items():
            n = max(1, min(50, int(20 / best[name])))  # about 20 ms in a round
            began = time.perf_counter()
            for _ in range(n):
                call()
            best[name] = min(best[name], 1_000 * (time.perf_counter() - began) / n)
    return best


def main() -> None:
    """Print a line for each piece of work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "update, liquid critic": partial(updates, critic="liquid"),
        "update, dense 64x64 critic": updates,
        "update, liquid critic, 10 seeds": partial(updates, critic="liquid", seeds=range(10)),
    }
    for kind in CELLS:
        work[f"{kind} sequence (128, 64, 17), 64 neurons"] = partial(sequences, 128, 64, 17, 64, 8, kind)
        work[f"{kind} sequence (32, 16, 4), 20 neurons"] = partial(sequences, 32, 16, 4, 20, 1, kind)
    for title, make in work.items():
        times = ", ".join(f"{name} {ms:.2f}" for name, ms in least(make(), rounds).items())
        print(f"{title}, ms: {times}", flush=True)


if __name__ == "__main__":
    main()
