"""Make any number of forged checkpoints: random changes of values and tensors, under valid digests.

``mutants`` never ends and depends on its seed alone. As a program this module reads so many of them, by load and by
resume, and prints the counts::

    python -m tests.reliability.forged 10000
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from tests.reliability.checkpoint_forgery import Lie, forge

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 7, 625, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, 10**30),
    *(-0.5, 0.5, 1.0, 1e39, 1e308, -1e308, 5e-324),
    *("", "x", "nan", "inf", "../../x", "/etc/passwd", "os:system", "a" * 3000, "\x1b[2J", "0:0:0:0", "ü"),
    *([], [1], [[1]], [None], [0, 0, 0], [-1, -1, -1], [0.0] * 40, {}, {"a": 1}, {"_target_": "os.getcwd"}),
    *({"__float__": "nan"}, {"__float__": "inf"}, {"__float__": []}, {"__float__": "1_0"}, {"__tuple__": []}),
    *({"__tensor__": "x"}, {"__tensor__": []}, {"__tensor__": "state.hidden"}, {"__tuple__": 1}, {"__tuple__": [[]]}),
)
"""What takes the place of a value."""
SIZES = (0, 1, 2, 3, 5, 64, 4_096, 65_536, 10**6, 10**9, 2**40)
"""What takes the place of a number too: it may be a size."""
DTYPES = (
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int32,
    torch.int64,
    torch.bool,
)
FILES = tuple(f"{part}_state.safetensors" for part in ("model", "optim", "buffer", "train"))


def mutants(honest: Path, seed: int) -> Iterator[tuple[str, Lie]]:
    """Yield forged checkpoints without end, each with a name that says how it is forged.

    Args:
        honest: a whole checkpoint; each mutant is applied to a copy of it.
        seed: decides them all.
    """
    document = json.loads((honest / "metadata.json").read_bytes())
    del document["metadata_sha256"]
    tensors = {name: load((honest / name).read_bytes()) for name in FILES if (honest / name).exists()}
    number = 0
    while True:
        generator = random.Random(f"{seed} {number}")
        ways = [
            generator.choice((_in_document, _in_document, _in_tensors)) for _ in range(generator.choice((1, 1, 2, 3)))
        ]
        forgery = _Forgery(copy.deepcopy(document), {})
        told = [way(forgery, tensors, generator) for way in ways]
        yield f"{seed}/{number}: {'; '.join(told)}", forgery.apply
        number += 1


class _Forgery:
    """A changed document, and the changed tensors of some files."""

    def __init__(self, document: dict[str, Any], tensors: dict[str, dict[str, Tensor]]) -> None:
        self.document, self.tensors = document, tensors

    def apply(self, directory: Path) -> None:
        """Forge a copy of the honest checkpoint."""

        def change(found: dict[str, Any]) -> None:
            files = found["files"]
            found.clear()
            found.update(self.document)
            if isinstance(found.get("files"), dict):
                found["files"] = {**found["files"], **{name: files[name] for name in self.tensors}}

        forge(directory, contents={name: save(named) for name, named in self.tensors.items()}, metadata=change)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Find every place in a tree of dicts and lists."""
    members = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in members:
        yield (*path, key)
        yield from places(value, (*path, key))


def _in_document(forgery: _Forgery, tensors: dict[str, dict[str, Tensor]], generator: random.Random) -> str:
    """Change one place: another value, a number near it, nothing, twice as much, or its neighbour's."""
    inside = [path for path in places(forgery.document) if path[0] != "files" or generator.random() < 0.05]
    *parents, last = generator.choice(inside)
    tree: Any = forgery.document
    for parent in parents:
        tree = tree[parent]
    name = "/".join(map(str, (*parents, last)))
    way = generator.choice(("value", "value", "near", "size", "remove", "more", "neighbour"))
    if way == "remove":
        del tree[last]
        return f"without {name}"
    tree[last] = _changed(way, tree, last, generator)
    return f"{name} = {tree[last]!r:.60}"


def _changed(way: str, tree: Any, last: Any, generator: random.Random) -> Any:
    value = tree[last]
    if way == "near" and type(value) in (int, float):
        return generator.choice((value + 1, value - 1, -value, value * 2, value * 10**6, float(value)))
    if way == "size" and type(value) is int:
        return generator.choice(SIZES)
    if way == "more" and isinstance(value, dict):
        return {**value, "more": 1}
    if way == "more" and isinstance(value, list | str):
        return value * 2
    if way == "neighbour":
        others = list(tree.values()) if isinstance(tree, dict) else tree
        return copy.deepcopy(generator.choice(others))
    return copy.deepcopy(generator.choice(VALUES))


def _in_tensors(forgery: _Forgery, tensors: dict[str, dict[str, Tensor]], generator: random.Random) -> str:
    """Change one tensor: its numbers, its type, its shape, its name; or leave it out, or add one."""
    file = generator.choice(sorted(tensors))
    named = forgery.tensors.setdefault(file, dict(tensors[file]))
    if not named:
        named["more"] = torch.zeros(1)
        return f"{file}: one tensor more"
    name = generator.choice(sorted(named))
    way = generator.choice(sorted(_TENSOR_WAYS))
    _TENSOR_WAYS[way](named, name, generator)
    return f"{file}: {name}: {way}"


def _rename(named: dict[str, Tensor], name: str, generator: random.Random) -> None:
    new = generator.choice((f"{name}x", "x", generator.choice(sorted(named))))
    named[new] = named.pop(name)


def _fill(named: dict[str, Tensor], name: str, generator: random.Random) -> None:
    """Put numbers at some of its places that it should not have, or at all."""
    value = named[name].clone()
    wrong = generator.choice((float("nan"), float("inf"), -1.0, -1e30, 0.0, 0.5, 3.0, 1e30, 2.0**31))
    if not value.is_floating_point():
        is_bool = value.dtype is torch.bool
        limits = (0, 1) if is_bool else (torch.iinfo(value.dtype).min, 1, 2, torch.iinfo(value.dtype).max)
        wrong = generator.choice(limits)
    flat = value.reshape(-1)
    if generator.random() < 0.5 and len(flat):
        flat[generator.randrange(len(flat))] = wrong
    else:
        flat[:] = wrong
    named[name] = value


def _reshape(named: dict[str, Tensor], name: str, generator: random.Random) -> None:
    value = named[name]
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: value.reshape(-1),
        lambda: value.reshape(1, *value.shape),
        lambda: value.reshape(-1)[: value.numel() // 2],
        lambda: torch.cat((value.reshape(-1), value.reshape(-1))),
        lambda: value.transpose(0, -1) if value.dim() > 1 else value.reshape(-1, 1),
        lambda: value.new_zeros(0),
    )
    named[name] = generator.choice(ways)().contiguous().clone()


def _retype(named: dict[str, Tensor], name: str, generator: random.Random) -> None:
    named[name] = named[name].to(generator.choice(DTYPES))


def _scramble(named: dict[str, Tensor], name: str, generator: random.Random) -> None:
    """Put random bytes in its place."""
    value = named[name].contiguous().clone()
    raw = value.reshape(-1).view(torch.uint8) if value.numel() else value
    if value.numel() and value.dtype is not torch.bool:
        raw[:] = torch.tensor([generator.randrange(256) for _ in range(min(64, len(raw)))]).repeat(len(raw))[: len(raw)]
    named[name] = value


_TENSOR_WAYS: dict[str, Callable[[dict[str, Tensor], str, random.Random], object]] = {
    "left out": lambda named, name, generator: named.pop(name),
    "once more": lambda named, name, generator: named.update({f"{name}.again": named[name].clone()}),
    "renamed": _rename,
    "other numbers": _fill,
    "other shape": _reshape,
    "other type": _retype,
    "other bytes": _scramble,
}


if __name__ == "__main__":
    import sys

    from tests.reliability.forged_reading import main

    sys.exit(main(sys.argv[1:]))
