"""Measure tensor files by Velora's own writer and reader beside the safetensors library, as ADR 0010 tells them.

    python -m benchmarks.checkpoint [--mib 2048] [--runs 3] [--directory /dev/shm]

The library's side is what a checkpoint needs of it and no more: write, force to the disk, take the SHA-256; take the
SHA-256 of what is there, and load into memory of its own. Velora's side also questions the header and refuses NaN in
weights (in a buffer it may stand). Each figure is a process of its own, the sides take turns, and the median counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

SIDES = ("velora", "library")
KINDS = {"agent": "small agent", "rows": "buffer", "turned": "buffer, not contiguous"}
ACTIONS = ("save", "load", "verify")
SMALL_RUNS = 300


def main() -> None:
    """Print a table of all kinds of tensors, actions and sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048, help="size of the buffer")
    parser.add_argument("--runs", type=int, default=3, help="processes for each figure")
    parser.add_argument("--directory", type=Path, help="where to write; a temporary directory by default")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, action, side = arguments.one
        print(json.dumps(_measure(kind, action, side, arguments.mib, arguments.directory)))
        return
    print("| tensors | | side | ms | of a processor | MiB more at the peak |\n|---|---|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        for kind in KINDS:
            for action in ACTIONS:
                _row(kind, action, arguments.mib, arguments.runs, directory)


def _row(kind: str, action: str, mib: int, runs: int, directory: str) -> None:
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(runs):
        for side in SIDES:
            words = ["--mib", str(mib), "--directory", directory, "--one", kind, action, side]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.checkpoint", *words], check=True, capture_output=True, text=True
            )
            found[side].append(json.loads(done.stdout))
    for side, figures in found.items():
        wall, cpu, peak = (statistics.median(one[name] for one in figures) for name in ("wall", "cpu", "peak"))
        print(f"| {KINDS[kind]} | {action} | {side} | {wall:,.2f} | {cpu:,.2f} | {peak:,.0f} |", flush=True)


def _measure(kind: str, action: str, side: str, mib: int, directory: Path) -> dict[str, float]:
    """Do one thing, in this process, and return milliseconds and MiB; a small one many times."""
    import torch

    torch.set_num_threads(1)
    path, info = directory / f"{kind}.safetensors", directory / f"{kind}.json"
    buffer = kind != "agent"
    save: Callable[..., Any] = partial(SAVE[side], buffer=buffer)
    load: Callable[..., Any] = partial(LOAD[side], buffer=buffer)
    verify: Callable[..., Any] = partial(VERIFY[side], buffer=buffer)
    tiny = directory / "tiny"
    tiny.unlink(missing_ok=True)
    tiny_info = save({"x": torch.ones(8)}, tiny)  # whatever is imported late is imported now
    load(tiny, tiny_info)
    verify(tiny, tiny_info)
    run: Callable[[], Any]
    if action == "save":
        run = partial(save, _tensors(kind, mib), path)
    else:
        run = partial(load if action == "load" else verify, path, json.loads(info.read_text()))
    walls, cpus, peak = [], [], _peak()
    for _ in range(SMALL_RUNS if kind == "agent" else 1):
        if action == "save":
            path.unlink(missing_ok=True)
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    if action == "save":
        info.write_text(json.dumps(result))
    return {"wall": statistics.median(walls) * 1e3, "cpu": statistics.median(cpus) * 1e3, "peak": _peak() - peak}


def _peak() -> float:
    """Return the most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _tensors(kind: str, mib: int) -> dict[str, Any]:
    """Make what is saved: the weights and optimizer moments of the default agent, or the rows of a replay buffer."""
    import torch

    from velora.models import LiquidDDPG
    from velora.models.checkpoint_contents import model_tensors

    if kind == "agent":
        weights = model_tensors(LiquidDDPG(3, 20, 1, device="cpu", seed=0))
        moments = {f"{name}.{key}": t.clone() for name, t in weights.items() for key in ("exp_avg", "exp_avg_sq")}
        return {**weights, **moments}
    rows = torch.ones(1, (mib << 20) // 160, 40)
    return {"rows": rows if kind == "rows" else rows.transpose(1, 2)}


def _velora_save(tensors: Any, path: Path, *, buffer: bool) -> Any:
    from velora.checkpoint.tensors import write

    return write(path, tensors, allow_nonfinite=buffer).model_dump()


def _velora_load(path: Path, info: Any, *, buffer: bool) -> Any:
    from velora.checkpoint.schema import FileInfo
    from velora.checkpoint.tensors import read

    return read(path, FileInfo(**info), allow_nonfinite=buffer)


def _velora_verify(path: Path, info: Any, *, buffer: bool) -> None:
    from velora.checkpoint.schema import FileInfo
    from velora.checkpoint.tensors import verify

    verify(path, FileInfo(**info), allow_nonfinite=buffer)


def _library_save(tensors: Any, path: Path, *, buffer: bool) -> Any:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)
    return {"size_bytes": path.stat().st_size, "sha256": _sha256(path)}


def _library_load(path: Path, info: Any, *, buffer: bool) -> Any:
    from safetensors.torch import load_file

    _library_verify(path, info, buffer=buffer)
    return load_file(path, backend="pread")


def _library_verify(path: Path, info: Any, *, buffer: bool) -> None:
    if _sha256(path) != info["sha256"]:
        raise ValueError(f"{path}: damaged")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


SAVE = {"velora": _velora_save, "library": _library_save}
LOAD = {"velora": _velora_load, "library": _library_load}
VERIFY = {"velora": _velora_verify, "library": _library_verify}

if __name__ == "__main__":
    main()
