"""Break a save at any of its write-side calls: kill the process there, or let the call fail.

As a program this module is a server that forks one child per trial, so that a trial costs milliseconds.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velora.checkpoint import Checkpoint, files
from velora.checkpoint.schema import Part

State = dict[Part, dict[str, Tensor]]
CALLS = ("open", "write", "fsync", "mkdir", "rename", "link", "unlink", "rmdir")


@dataclass
class Faults:
    """Count the calls that change the filesystem, and strike at call number ``at`` (from 0).

    ``action``: ``before``, ``after`` and ``half`` kill the process with SIGKILL; a whole number is the errno that
    the call fails with, once or (``persistent``) from then on.
    """

    at: int = -1
    action: str | int = "count"
    persistent: bool = False
    calls: list[str] = field(default_factory=list)

    @contextmanager
    def active(self) -> Iterator[Faults]:
        """Put the faults between Python and the operating system."""
        originals = {name: getattr(os, name) for name in CALLS}
        exchange = files.exchange
        for name, original in originals.items():
            setattr(os, name, self._wrap(name, original))
        files.exchange = self._wrap("exchange", exchange)
        try:
            yield self
        finally:
            for name, original in originals.items():
                setattr(os, name, original)
            files.exchange = exchange

    def _wrap(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return original(*args, **kwargs)
            number = len(self.calls)
            self.calls.append(f"{name} {args[0] if isinstance(args[0], str | Path) else ''}")
            due = number == self.at or (self.persistent and number > self.at >= 0)
            if not due:
                return original(*args, **kwargs)
            if isinstance(self.action, int):
                raise OSError(self.action, os.strerror(self.action))
            if self.action == "after":
                with suppress(OSError):
                    original(*args, **kwargs)
            elif self.action == "half" and name == "write":
                original(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError("unreachable")

        return call


def state(version: int, *parts: Part) -> State:
    """Make the tensors of a small agent; each version differs in every one of them."""
    generator = torch.Generator().manual_seed(version)
    full: State = {
        "model_state": {
            "actor.cell.weight": torch.randn(1, 6, 5, generator=generator),
            "actor.cell.bias": torch.randn(1, 6, generator=generator),
            "critic.weight": torch.randn(1, 4, 3, generator=generator, dtype=torch.float64),
        },
        "optim_state": {
            "actor.exp_avg": torch.randn(1, 30, generator=generator),
            "actor.step": torch.tensor([float(version)]),
        },
        "buffer_state": {
            "obs": torch.randn(8, 3, generator=generator),
            "terminated": torch.rand(8, generator=generator) < 0.5,
            "episode": torch.arange(8) + version,
        },
        "train_state": {"generator": torch.randint(0, 256, (40,), dtype=torch.uint8, generator=generator)},
    }
    return {name: full[name] for name in ("model_state", "optim_state", *parts)}


def fields(version: int, *parts: Part) -> dict[str, Any]:
    """Make the metadata that goes with :func:`state`."""
    members: dict[str, Any] = {
        "agent": "liquid_ddpg",
        "seed": 3,
        "settings": {"n_neurons": 10, "gamma": 0.99, "critic_units": [64, 64]},
        "optimizers": {"actor": {"name": "adam", "lr": 1e-4}},
        "environment": {"id": "Pendulum-v1", "kwargs": {}},
        "progress": {"episode": version, "step": 200 * version, "update": version},
    }
    if "buffer_state" in parts:
        members["buffer"] = {"capacity": 8, "size": 8, "position": 0}
    if "train_state" in parts:
        members["train_state"] = {"callbacks": {"EarlyStopping": {"best": -200.5}}}
    return members


def save(directory: Path, version: int, *parts: Part, **options: Any) -> Checkpoint:
    """Save one version."""
    return Checkpoint.write(directory, metadata=fields(version, *parts), tensors=state(version, *parts), **options)


def load(directory: Path) -> State:
    """Read everything that a checkpoint holds."""
    checkpoint = Checkpoint.open(directory)
    parts: list[Part] = [name.removesuffix(".safetensors") for name in checkpoint.metadata.files]  # type: ignore[misc]
    return {part: checkpoint.read(part) for part in parts}


def same(first: State, second: State) -> bool:
    """Tell whether two states agree in every bit."""
    return first.keys() == second.keys() and all(
        first[part].keys() == second[part].keys()
        and all(torch.equal(first[part][name], second[part][name]) for name in first[part])
        for part in first
    )


@dataclass(frozen=True)
class Scenario:
    """Describe one kind of save: what is there before, what is saved, what may be there afterwards."""

    before: tuple[Part, ...] | None
    parts: tuple[Part, ...] = ()
    version: int = 2
    config: bool = False
    exchange: bool = True
    interrupted: bool = False

    def prepare(self, run: Path) -> Path:
        """Make the directory as it is before the save."""
        run.mkdir(exist_ok=True)
        target = run / "new parent" / "ep10" if self.before is None else run / "ep10"
        if self.before is not None:
            save(target, 1, *self.before)
        if self.interrupted:  # between the two renames of a system without exchange
            stage = run / ".velora-stage-4194305-0123456789abcdef"
            shutil.copytree(target, stage / "new")
            (stage / "old").mkdir()
            target.rename(stage / "old" / "ep10")
        return target

    def perform(self, target: Path) -> None:
        """Save as the scenario says."""
        if not self.exchange:
            files.exchange = lambda first, second: False
        save(target, self.version, *self.parts, config={"agent": "LiquidDDPG"} if self.config else None)

    def old(self) -> State | None:
        """Return what was there before."""
        return None if self.before is None else state(1, *self.before)

    def new(self) -> State:
        """Return what is there after a save that succeeded (an unchanged model keeps its buffer)."""
        kept = self.before if self.version == 1 and self.before else ()
        return state(self.version, *dict.fromkeys((*self.parts, *kept)))


SCENARIOS = {
    "first save": Scenario(None),
    "first save with everything": Scenario(None, ("buffer_state", "train_state"), config=True),
    "overwrite": Scenario(()),
    "overwrite with buffer": Scenario(("buffer_state",), ("buffer_state", "train_state"), config=True),
    "same model keeps its buffer": Scenario(("buffer_state", "train_state"), version=1),
    "after an interrupted exchange": Scenario(("buffer_state",), interrupted=True),
    "interrupted without exchange": Scenario(("buffer_state",), interrupted=True, exchange=False),
    "overwrite without exchange": Scenario(("buffer_state",), exchange=False),
}


def fast_directory() -> Path:
    """Make a directory where ``fsync`` costs nothing; SIGKILL doesn't lose what a filesystem has accepted."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="velora-", dir=memory if os.access(memory, os.W_OK) else None))


def count_calls(scenario: Scenario) -> list[str]:
    """List the write-side calls of a save that nothing disturbs."""
    run = fast_directory()
    exchange = files.exchange
    try:
        target = scenario.prepare(run)
        with Faults().active() as faults:
            scenario.perform(target)
        return faults.calls
    finally:
        files.exchange = exchange
        shutil.rmtree(run)


def serve() -> None:
    """Read one trial per line, run it in a forked child, and answer how the child ended."""
    for line in sys.stdin:
        trial = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(trial)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _run(trial: dict[str, Any]) -> None:
    code = 70
    try:
        scenario, target = SCENARIOS[trial["scenario"]], Path(trial["target"])
        if "file_size_limit" in trial:
            resource.setrlimit(resource.RLIMIT_FSIZE, (trial["file_size_limit"], resource.RLIM_INFINITY))
        with Faults(trial.get("at", -1), trial.get("action", "count")).active():
            scenario.perform(target)
        code = 0
    except ValueError as error:
        print(error, file=sys.stderr)
        code = 65 if errno.errorcode and "can't be written" in str(error) else 66
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
