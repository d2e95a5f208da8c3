"""Checkpoints that lie under valid digests, by load and by resume: refused in one line, or harmless; nothing else."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmarks.reliability import forked
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from benchmarks.reliability.training import REPLAY, ROLLOUT, TASKS, Training
from tests.reliability.checkpoint_forgery import forge
from velora.checkpoint import Checkpoint
from velora.models.loading import load as load_agent

TRAININGS = {
    "ddpg": Training(n_steps=30),
    "ppo, two environments": Training(
        "LiquidPPO", TASKS["CartPole"], n_steps=70, settings={**ROLLOUT, "n_envs": 2, "normalize_obs": True}
    ),
    "sac": Training("LiquidSAC", TASKS["CartPole"], n_steps=30, settings={**REPLAY, "normalize_returns": True}),
}
FURTHER = 8
"""Steps that a resume goes on for where a lie is accepted."""
LIMIT_S, LIMIT_MIB = 1.0, 512
WRONG: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 7, 2**31, 2**53, 2**53 + 1, 2**63, 10**30, 2**128),
    *(-0.5, 0.5, 1e308, -1e308, 5e-324, "", "x", "../../x", "/etc/passwd", "\0", "a" * 5000, "\ud800", "ü"),
    *([], [1], [[1]], [None], {}, {"a": 1}, {"id": "x"}, [1, 2, 3, 4], ["x"]),
    *({"__float__": "nan"}, {"__float__": "inf"}, {"__float__": []}, {"__tensor__": "x"}, {"__tensor__": []}),
    *({"__tensor__": "state.hidden"}, {"__tuple__": []}, {"__tuple__": 1}, {"__float__": "nan", "a": 1}),
)
"""What takes the place of every value."""
BOMBS: dict[str, Any] = {
    "settings/n_neurons": (30_000, 65_536, 10**6, 10**9, 2**31),
    "settings/state_dim": (65_536, 10**6, 10**9),
    "settings/action_dim": (65_536, 10**6, 10**9),
    "settings/critic_units": ([65_536, 65_536], [10**6] * 3, [10**9], [4] * 10_000),
    "settings/buffer_size": (10**8, 10**9, 10**12),
    "settings/sequence_length": (10**6, 10**9),
    "settings/n_envs": (4096, 10**6, 10**9),
    "settings/rollout_steps": (10**8, 10**9),
    "settings/n_critics": (16, 10**6),
    "buffer/capacity": (10**8, 10**9),
    "train_state/lane/moving": ({"size": 10**9, "values": []}, {"size": 10**12, "values": []}),
}
FORBIDDEN = ("exec", "compile", "pickle", "marshal", "code.", "os.system", "os.exec", "os.posix_spawn", "subprocess")
FORBIDDEN_IMPORTS = ("import", "socket", "webbrowser", "ctypes.dlopen")

Lie = Callable[[Path], None]
_events: Counter[str] = Counter()
_watching = [False]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching[0] and event.startswith((*FORBIDDEN, *FORBIDDEN_IMPORTS)):
        _events[f"{event} {args!r:.80}"] += 1


def run(job: Job, name: str, *, by: str, most: int = 1_800) -> None:
    """Tell lies about one kind of run.

    Args:
        by: how it is read: ``"load"`` or ``"resume"``.
        most: how many, drawn at random from all.
    """
    training = TRAININGS[name]
    read = _load if by == "load" else _resume
    with scratch() as place:
        training.go(place / "honest")
        honest = place / "honest" / "checkpoints" / "final"
        read(training, honest)  # whatever is imported late is imported now
        sys.addaudithook(_hook)
        baseline = _try(training, read, honest)
        if not baseline.is_fine or baseline.answer:
            raise AssertionError(f"an honest one by {by}: {baseline}, events {baseline.answer}\n{baseline.text}")
        lies = list(all_lies(honest))
        if len(lies) > most:
            lies = job.random("lies", name, by).sample(lies, most)
        for title, lie in job.each(job.some(lies, quick=60)):
            liar = place / "liar" / "checkpoints" / "final"
            shutil.copytree(honest, liar)
            try:
                lie(liar)
            except (KeyError, TypeError, ValueError, IndexError):
                shutil.rmtree(place / "liar")
                continue  # a lie that can't even be written down
            _judge(job, _try(training, read, liar), liar, f"{name}, by {by}, {title}")
            shutil.rmtree(place / "liar")


def _load(training: Training, directory: Path) -> None:
    has_buffer = Checkpoint.open(directory).metadata.buffer is not None
    load_agent(directory, buffer=has_buffer, device="cpu")


def _resume(training: Training, directory: Path) -> None:
    with scratch() as place:
        training.longer(training.n_steps + FURTHER).go(place, resume=directory)


def _try(training: Training, read: Callable[[Training, Path], None], directory: Path) -> forked.Ending:
    def attempt() -> dict[str, int]:
        _watching[0] = True
        try:
            read(training, directory)
        except ValueError as error:
            if _events:
                raise RuntimeError(f"events: {dict(_events)}") from error
            raise
        finally:
            _watching[0] = False
        return dict(_events)

    return forked.run(attempt, limit_s=30, memory_mib=16_384)


def _judge(job: Job, ending: forked.Ending, liar: Path, case: str) -> None:
    tally = job.tally
    kind, text = ending.answer if ending.code == forked.RAISED and ending.answer else ("", "")
    if ending.hung or ending.code not in (0, forked.RAISED):
        tally.bad("the process died", f"{case}: {ending}")
    elif ending.extra_mib > LIMIT_MIB:
        tally.bad(f"more than {LIMIT_MIB} MiB", f"{case}: {ending.extra_mib:.0f} MiB, {ending}")
    elif ending.seconds > LIMIT_S and ending.code == forked.RAISED:
        tally.bad(f"more than {LIMIT_S:.0f} s", f"{case}: {ending.seconds:.1f} s, {ending}")
    elif ending.is_fine and ending.answer:
        tally.bad("audit events", f"{case}: {ending.answer}")
    elif ending.is_fine:
        tally.good("within its schema, and harmless")
    elif kind == "NonFiniteError" and "after " in text:
        tally.good("within its schema; a number overflowed later, and its place was named")
    elif not kind.endswith("CheckpointError"):
        tally.bad(f"a raw {kind}", f"{case}: {ending}")
    elif "\n" in text or len(text) > 1500:
        tally.bad("an error of many lines", f"{case}: {ending}")
    elif not any(name in text for name in (str(liar), "train_state", "resume: ")):
        tally.bad("an error that doesn't say of what", f"{case}: {ending}")
    else:
        tally.good("refused by a CheckpointError")


# ------------------------------------------------------------------------------------------------------------ the lies


def all_lies(honest: Path) -> Iterator[tuple[str, Lie]]:
    """List lies about every value of the metadata and about every tensor."""
    document = json.loads((honest / "metadata.json").read_bytes())
    document.pop("metadata_sha256")
    document.pop("files")
    for path in _leaves(document, ()):
        where = "/".join(map(str, path))
        for value in WRONG:
            yield f"{where} = {ascii(value)[:60]}", _with(path, value)
        yield f"without {where}", _without(path)
        yield f"{where} renamed", _renamed(path)
    for where, values in BOMBS.items():
        for value in values:
            yield f"{where} = {ascii(value)[:60]}", _with(tuple(where.split("/")), value)
    for file in sorted(honest.glob("*.safetensors")):
        tensors = load(file.read_bytes())
        for name, (title, change) in itertools.product(sorted(tensors), TENSOR_LIES.items()):
            yield f"{file.stem}: {name}: {title}", _tensor(file.name, name, change)
        yield f"{file.stem}: no tensors", _tensor(file.name, "", lambda all_tensors, _: all_tensors.clear())


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Go through every place in a document, its containers too."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:2]):
            yield from _leaves(inner, (*path, number))


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def _with(path: tuple[str | int, ...], value: Any) -> Lie:
    def change(document: dict[str, Any]) -> None:
        _at(document, path[:-1])[path[-1]] = copy.deepcopy(value)

    return lambda directory: forge(directory, metadata=change)


def _without(path: tuple[str | int, ...]) -> Lie:
    def change(document: dict[str, Any]) -> None:
        del _at(document, path[:-1])[path[-1]]

    return lambda directory: forge(directory, metadata=change)


def _renamed(path: tuple[str | int, ...]) -> Lie:
    def change(document: dict[str, Any]) -> None:
        parent = _at(document, path[:-1])
        parent[f"{path[-1]}_"] = parent.pop(path[-1])

    return lambda directory: forge(directory, metadata=change)


TensorLie = Callable[[dict[str, Tensor], str], object]


def _replace(make: Callable[[Tensor], Tensor]) -> TensorLie:
    return lambda tensors, name: tensors.update({name: make(tensors[name]).contiguous()})


def _last(value: float) -> TensorLie:
    def change(tensor: Tensor) -> Tensor:
        changed = tensor.clone()
        changed.view(-1)[-1] = value
        return changed

    return _replace(change)


TENSOR_LIES: dict[str, TensorLie] = {
    "gone": lambda tensors, name: tensors.pop(name),
    "renamed": lambda tensors, name: tensors.update({f"{name}_": tensors.pop(name)}),
    "twice": lambda tensors, name: tensors.update({f"{name}_": tensors[name].clone()}),
    "of float64": _replace(lambda t: t.to(torch.float64)),
    "of int32": _replace(lambda t: t.to(torch.int32)),
    "flat": _replace(lambda t: t.reshape(-1)),
    "with an axis more": _replace(lambda t: t[None]),
    "turned": _replace(lambda t: t.transpose(0, -1) if t.dim() else t[None]),
    "longer": _replace(lambda t: torch.cat([t.reshape(1) if not t.dim() else t] * 2)),
    "empty": _replace(lambda t: t[:0] if t.dim() else t.new_empty(0)),
    "of no dimensions": _replace(lambda t: t.reshape(-1)[0] if t.numel() else t),
    "with NaN": _last(float("nan")),
    "with infinity": _last(float("inf")),
    "with -1": _last(-1),
    "with 1e30": _last(1e30),
    "with 2**31": _last(2**31),
    "zeros": _replace(torch.zeros_like),
    "all -1": _replace(lambda t: torch.full_like(t, -1) if t.dtype != torch.bool else ~t),
}


def _tensor(file: str, name: str, change: TensorLie) -> Lie:
    def lie(directory: Path) -> None:
        tensors = load((directory / file).read_bytes())
        try:
            change(tensors, name)
        except RuntimeError as error:
            raise ValueError(error) from error
        forge(directory, contents={file: save(tensors)})

    return lie
