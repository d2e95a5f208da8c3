"""A million inputs to the readers of a checkpoint: JSON, headers, metadata, a run's state; only one kind of error."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable
from typing import Any

from safetensors.torch import load

from benchmarks.reliability.forged import TRAININGS, WRONG
from benchmarks.reliability.subject import scratch
from benchmarks.reliability.tally import Job
from tests.reliability.checkpoint_forgery import sign, split
from velora.checkpoint import header, json_text
from velora.checkpoint.schema import Metadata
from velora.core.errors import CheckpointError
from velora.training.resume import codec

SLOW_S = 1.0


def run(job: Job, what: str, *, inputs: int) -> None:
    """Feed one reader.

    Args:
        what: ``"bytes"`` of JSON, a ``"header"``, signed ``"metadata"``, or a run's ``"state"``.
    """
    with scratch() as place:
        TRAININGS["ddpg"].go(place)
        final = place / "checkpoints" / "final"
        raw_metadata = (final / "metadata.json").read_bytes()
        raw_tensors = (final / "model_state.safetensors").read_bytes()
        arrays = load((final / "train_state.safetensors").read_bytes())
    document = json.loads(raw_metadata)
    document.pop("metadata_sha256")
    table, data = split(raw_tensors)
    table_raw = json.dumps(table).encode()
    generator = job.random("fuzz", what, job.part)
    state = document["train_state"]
    feeds: dict[str, Callable[[], object]] = {
        "bytes": lambda: json_text.parse(scrambled(raw_metadata, generator), "metadata.json"),
        "header": lambda: header.decode(_header(table, table_raw, generator), len(data), "model_state.safetensors"),
        "metadata": lambda: Metadata.decode(_signed(document, generator), "metadata.json"),
        "state": lambda: codec.unpack(mutated(state, generator), arrays),
    }
    feed = feeds[what]
    count = 3_000 if job.quick else inputs // job.parts
    for number in range(count):
        if number % 1_000 == 0:
            job.progress(number, count)
        before = time.perf_counter()
        try:
            feed()
        except CheckpointError as error:
            outcome = "refused by a CheckpointError" if "\n" not in str(error) else "an error of many lines"
        except Exception as error:  # noqa: BLE001 - what is looked for
            outcome = f"a raw {type(error).__name__}: {error}"[:200]
        else:
            outcome = "read"
        if time.perf_counter() - before > SLOW_S:
            outcome = f"more than {SLOW_S} s"
        if outcome in ("read", "refused by a CheckpointError"):
            job.tally.good(outcome)
        else:
            job.tally.bad(outcome.partition(":")[0], f"{what}, input {number} of part {job.part}: {outcome}")


def scrambled(raw: bytes, generator: random.Random) -> bytes:
    """Change a few bytes, cut, repeat or insert pieces."""
    data = bytearray(raw)
    for _ in range(generator.randrange(1, 5)):
        at = generator.randrange(len(data) + 1)
        way = generator.randrange(6)
        if way == 0 and at < len(data):
            data[at] = generator.randrange(256)
        elif way == 1 and at < len(data):
            data[at] ^= 1 << generator.randrange(8)
        elif way == 2:
            del data[at : at + generator.randrange(1, 40)]
        elif way == 3:
            data[at:at] = data[at : at + generator.randrange(1, 40)]
        elif way == 4:
            data[at:at] = generator.choice(TOKENS)
        else:
            data = data[:at] if generator.random() < 0.1 else data
    return bytes(data)


TOKENS = (
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"1" * 60),
    *(
        b'"\\u0000"',
        b"\\ud800",
        b"\xff",
        b"\xc3",
        b"\0",
        b"[" * 70,
        b'{"a":' * 70,
        b'"a":1,',
        b"1e-400",
        b"\xe2\x80\xa8",
    ),
)


def mutated(document: Any, generator: random.Random) -> Any:
    """Change a few values of a document, at any depth."""
    changed = copy.deepcopy(document)
    for _ in range(generator.randrange(1, 4)):
        parent = changed
        while True:
            keys: Any = list(parent) if isinstance(parent, dict) else range(len(parent))
            if not len(keys):
                break
            key = generator.choice(keys)
            if isinstance(parent[key], dict | list) and parent[key] and generator.random() < 0.8:
                parent = parent[key]
                continue
            _change(parent, key, generator)
            break
    return changed


def _change(parent: Any, key: Any, generator: random.Random) -> None:
    way = generator.randrange(5)
    if way == 0:
        del parent[key]
    elif way == 1 and isinstance(parent, dict):
        parent[generator.choice(("x", f"{key}_", "__tensor__", "__float__", "__tuple__", ""))] = parent[key]
    elif way == 2 and isinstance(parent[key], int | float):
        parent[key] = parent[key] * generator.choice((-1, 2, 0.5, 1e9)) + generator.choice((0, 1, -1))
    else:
        parent[key] = copy.deepcopy(generator.choice(WRONG))


def _header(table: dict[str, Any], raw: bytes, generator: random.Random) -> bytes:
    if generator.random() < 0.5:
        return scrambled(raw, generator)
    return json.dumps(mutated(table, generator)).encode()


def _signed(document: dict[str, Any], generator: random.Random) -> bytes:
    while True:
        try:
            return sign(mutated(document, generator))
        except (ValueError, TypeError):
            continue  # can't be written as JSON
