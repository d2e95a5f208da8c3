"""Measure how long a checkpoint stalls training, and how long it takes to be on the disk.

    python -m benchmarks.stall [--rows 100000] [--saves 15] [--directory .]

A run of the default agent with a full replay buffer is saved again and again:

copy         the copy of all that the checkpoint holds, tensor by tensor
stall        what ``trainer.save(wait=False)`` keeps training waiting for, and its share of the copy
at once      the whole of ``trainer.save()``
library      the same tensors by the safetensors library, each file written and forced to the disk; share of it
beside       a step of training while a checkpoint is written beside it
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from velora.callbacks import Callback
from velora.checkpoint.contents import Contents
from velora.models import LiquidDDPG

COMPARED = {"copy": "", "stall": "copy", "library": "", "at once": "library", "on the disk": "library"}
"""What is printed, beside what it is compared with."""


class Measure(Callback):
    """Save a run every few steps in turn in the background and at once, and note how long all took."""

    def __init__(self, directory: Path, n_saves: int) -> None:
        self.directory, self.n_saves = directory, n_saves
        self.begin, self.step, self.is_under_way, self.n_done = 600, 0, False, 0
        self.seconds: dict[str, list[float]] = {}
        self._last_s = 0.0

    def on_train_start(self, trainer: Any, agent: Any) -> None:
        rows = agent.buffer._rows
        rows[...] = np.random.default_rng(0).normal(size=rows.shape)
        agent.buffer._size[:] = agent.buffer.capacity

    def on_step_end(self, trainer: Any, agent: Any) -> None:
        now = time.perf_counter()
        if self._last_s:
            self._note("beside" if self.is_under_way else "usual", now - self._last_s)
        if trainer.step >= self.begin and not self.is_under_way and trainer.step % 200 == 0:
            self._save(trainer)
        self._last_s = time.perf_counter()

    def on_checkpoint_saved(self, trainer: Any, agent: Any, path: Path) -> None:
        if self.is_under_way:
            self._note("on the disk", time.perf_counter() - self._begun_s)
        self.is_under_way = False

    def _save(self, trainer: Any) -> None:
        self.n_done += 1
        if self.n_done > self.n_saves:
            trainer.stop("measured")
            return
        contents: Contents = trainer._contents(trainer.progress[0], buffer=True, config=False, copy=False)
        every = [tensor for part in contents.tensors.values() for tensor in part.values()]
        self._time("copy", lambda: [tensor.clone() for tensor in every])
        self._time("library", lambda: _by_library(contents, self.directory))
        self._time("at once", lambda: trainer.save(self.directory / "at_once"))
        self._begun_s = time.perf_counter()
        self._time("stall", lambda: trainer.save(self.directory / "background", wait=False))
        self.is_under_way = True

    def _time(self, name: str, act: Callable[[], object]) -> None:
        begun_s = time.perf_counter()
        kept = act()
        self._note(name, time.perf_counter() - begun_s)
        del kept

    def _note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)


def _by_library(contents: Contents, directory: Path) -> None:
    """Write every part by the safetensors library, and wait until the disk has it."""
    for part, tensors in contents.tensors.items():
        path = directory / f"{part}.safetensors"
        path.unlink(missing_ok=True)
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
        descriptor = os.open(path, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)


def measure(directory: Path, *, rows: int, n_saves: int) -> dict[str, list[float]]:
    """Train, save, and return the seconds that everything took, every time."""
    agent = LiquidDDPG(3, 20, 1, device="cpu", seed=0, buffer_size=rows, warmup_steps=500)
    watch = Measure(directory, n_saves)
    agent.train("Pendulum-v1", 64, n_steps=10**6, callbacks=[watch], progress_bar=False, summary=False)
    return watch.seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="transitions in the replay buffer")
    parser.add_argument("--saves", type=int, default=15, help="checkpoints of each kind")
    parser.add_argument("--directory", type=Path, help="where to write; a temporary directory by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        seconds = measure(Path(directory), rows=arguments.rows, n_saves=arguments.saves)
    print("| | median, ms | least, ms | compared, of the medians | of the least |\n|---|--:|--:|---|---|")
    for name, other in COMPARED.items():
        found = [choose(seconds[name]) for choose in (statistics.median, min)]
        base = [choose(seconds[other]) for choose in (statistics.median, min)] if other else []
        shares = [f"{one / two:.2f} of {other}" for one, two in zip(found, base, strict=False)] or ["", ""]
        print(f"| {name} | {1e3 * found[0]:.2f} | {1e3 * found[1]:.2f} | {shares[0]} | {shares[1]} |")
    usual, beside = (1e6 * statistics.median(seconds[name]) for name in ("usual", "beside"))
    print(f"\nA step takes {usual:.1f} us, {beside:.1f} us while a checkpoint is written.")


if __name__ == "__main__":
    main()
