"""What a disk may hold after the power went: every state that a trace of system calls allows, in the worst case.

The model is that of ALICE (Pillai et al., OSDI 2014), on no particular filesystem. Data of a file are durable once the
file was synced, a change of names once one of its directories was. Everything else may have reached the disk or not, in
any order: data wholly, in part, as zeros, or only the last piece; names one without the other. One rename is one step.
Maps of memory aren't seen, so that SQLite's ``-shm``, which it makes anew, is left out.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.reliability.trace import Call

Node: TypeAlias = int
Entry: TypeAlias = tuple[Node, str]
Tree: TypeAlias = Mapping[str, bytes | None]
"""Relative path to content, of a directory to ``None``."""
ROOT: Final[Node] = 0


@dataclass(frozen=True, slots=True)
class Naming:
    """Change of names in one step: what each entry points to from then on."""

    at: int
    entries: tuple[tuple[Entry, Node | None], ...]


@dataclass(frozen=True, slots=True)
class Writing:
    """Change of a file's data; with ``data`` ``None`` a change of its size to ``offset``."""

    at: int
    node: Node
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which a power cut may end.

    Attributes:
        at: the call before which the power went.
        lost: the times of the changes of names that did not reach the disk.
        data: what became of the data of each file that were not synced, a key of ``WAYS``.
    """

    name: str
    at: int
    lost: frozenset[int]
    data: Mapping[Node, str]


@dataclass
class Disk:
    """A directory at the start, and all that was done in it."""

    entries: dict[Entry, Node] = field(default_factory=dict)
    contents: dict[Node, bytes] = field(default_factory=dict)
    directories: set[Node] = field(default_factory=lambda: {ROOT})
    namings: list[Naming] = field(default_factory=list)
    writings: list[Writing] = field(default_factory=list)
    syncs: list[tuple[int, Node]] = field(default_factory=list)
    marks: list[tuple[int, str]] = field(default_factory=list)
    touched: dict[Node, tuple[int, str]] = field(default_factory=dict)
    last_names: dict[str, Node] = field(default_factory=dict)
    length: int = 0

    @classmethod
    def of(cls, start: Tree, calls: Sequence[Call]) -> Disk:
        """Replay a trace on what was there before it."""
        disk = cls()
        live = _Live(disk)
        for path, content in sorted(start.items()):
            node = live.make(path, is_directory=content is None)
            if content is not None:
                disk.contents[node] = content
        disk.entries = dict(live.entries)
        for at, call in enumerate(calls):
            live.apply(at, call)
        disk.length, disk.last_names = len(calls), live.names()
        return disk

    def pending(self, at: int) -> tuple[list[Naming], list[Writing]]:
        """Return what was done before call ``at`` and is not durable then."""
        synced = {node: when for when, node in self.syncs if when < at}
        namings = [n for n in self.namings if n.at < at and not any(synced.get(e[0], -1) > n.at for e, _ in n.entries)]
        writings = [w for w in self.writings if w.at < at and synced.get(w.node, -1) < w.at]
        return namings, writings

    def state(self, at: int, lost_names: Set[int], data: Callable[[Node, list[Writing]], list[Writing]]) -> Tree:
        """Make the tree of one outcome of a power cut before call ``at``.

        Args:
            lost_names: the times of the changes of names that didn't reach the disk.
            data: what became of the writings of a file that aren't durable.
        """
        entries = dict(self.entries)
        for naming in self.namings:
            if naming.at < at and naming.at not in lost_names:
                for entry, node in naming.entries:
                    if node is None:
                        entries.pop(entry, None)
                    else:
                        entries[entry] = node
        _, pending = self.pending(at)
        unsure = {w.at for w in pending}
        by_node: dict[Node, tuple[list[Writing], list[Writing]]] = {}
        for writing in self.writings:
            if writing.at < at:
                by_node.setdefault(writing.node, ([], []))[writing.at in unsure].append(writing)
        contents = dict(self.contents)
        for node, (sure, doubtful) in by_node.items():
            contents[node] = _written(contents.get(node, b""), [*sure, *data(node, doubtful)])
        children: dict[Node, list[tuple[str, Node]]] = {}
        for (parent, name), node in entries.items():
            children.setdefault(parent, []).append((name, node))
        return dict(self._walk(ROOT, "", children, contents, ()))

    def _walk(
        self,
        node: Node,
        path: str,
        children: Mapping[Node, list[tuple[str, Node]]],
        contents: Mapping[Node, bytes],
        above: tuple[Node, ...],
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, child in children.get(node, ()):
            if name.endswith("-shm") or child in above:
                continue
            where = f"{path}/{name}" if path else name
            if child in self.directories:
                yield where, None
                yield from self._walk(child, where, children, contents, (*above, child))
            else:
                yield where, contents.get(child, b"")

    def outcomes(self, at: int, generator: random.Random, *, mixed: int) -> Iterator[Outcome]:
        """Go through what a power cut before call ``at`` may leave; some are equal.

        Args:
            mixed: how many random mixtures, beside the regular ones.
        """
        namings, writings = self.pending(at)
        times = [naming.at for naming in namings]
        nodes = sorted({writing.node for writing in writings})
        losses = {"all names": set[int](), "no names": set(times)}
        for k, when in enumerate(times):
            losses[f"the first {k} names"] = set(times[k:])
            losses[f"all names but that of call {when}"] = {when}
            losses[f"only the name of call {when}"] = set(times) - {when}
        for lost, data in ((lost, data) for lost in losses for data in (WAYS if writings else ("all data",))):
            yield Outcome(f"{lost}, {data}", at, frozenset(losses[lost]), dict.fromkeys(nodes, data))
        for number in range(mixed if len(times) + len(nodes) > 1 else 0):
            own = {node: generator.choice(list(WAYS)) for node in nodes}
            gone = frozenset(when for when in times if generator.random() < 0.5)
            yield Outcome(f"mixture {number}", at, gone, own)

    def tree(self, outcome: Outcome) -> Tree:
        """Make what an outcome leaves."""
        return self.state(outcome.at, outcome.lost, lambda node, w: WAYS[outcome.data[node]](w) if w else w)


class _Live:
    """The tree as the process sees it, by which paths are resolved."""

    def __init__(self, disk: Disk) -> None:
        self.disk, self.entries, self.next_node = disk, dict(disk.entries), ROOT + 1

    def find(self, path: str) -> Node | None:
        node: Node | None = ROOT
        for name in [] if path == "." else path.split("/"):
            node = None if node is None else self.entries.get((node, name))
        return node

    def names(self) -> dict[str, Node]:
        """Return the whole path of everything."""
        found, todo = dict[str, Node](), [(ROOT, "")]
        while todo:
            node, path = todo.pop()
            for (parent, name), child in self.entries.items():
                if parent == node:
                    found[where := f"{path}/{name}" if path else name] = child
                    todo.append((child, where))
        return found

    def entry(self, path: str) -> Entry:
        parent, _, name = path.rpartition("/")
        found = self.find(parent or ".")
        assert found is not None, f"{path} is made in a directory that isn't known"
        return found, name

    def make(self, path: str, *, is_directory: bool) -> Node:
        node, self.next_node = self.next_node, self.next_node + 1
        self.entries[self.entry(path)] = node
        if is_directory:
            self.disk.directories.add(node)
        return node

    def apply(self, at: int, call: Call) -> None:
        disk = self.disk
        if call.kind == "mark":
            disk.marks.append((at, call.path))
        elif call.kind in ("write", "truncate", "fsync") or (call.kind == "open" and not call.is_new):
            self._touch(at, call)
        elif call.kind in ("open", "mkdir"):
            node = self.make(call.path, is_directory=call.kind == "mkdir")
            disk.namings.append(Naming(at, ((self.entry(call.path), node),)))
            disk.touched[node] = at, call.path
        else:
            self._rename(at, call)

    def _touch(self, at: int, call: Call) -> None:
        node = self.find(call.path)
        if node is None:
            return  # a file without a name, which no reader finds
        if call.kind == "fsync":
            self.disk.syncs.append((at, node))
        else:
            self.disk.touched[node] = at, call.path
            self.disk.writings.append(Writing(at, node, call.offset, call.data if call.kind == "write" else None))

    def _rename(self, at: int, call: Call) -> None:
        first = self.entry(call.path)
        moved = self.entries.get(first)
        changes: list[tuple[Entry, Node | None]]
        if call.kind in ("unlink", "rmdir"):
            changes = [(first, None)]
        else:
            second = self.entry(call.other)
            back = self.entries.get(second) if call.kind == "exchange" else moved if call.kind == "link" else None
            changes = [(first, back), (second, moved)]
        for entry, node in changes:
            if node is None:
                self.entries.pop(entry, None)
            else:
                self.entries[entry] = node
        self.disk.namings.append(Naming(at, tuple(changes)))


def _written(content: bytes, writings: Sequence[Writing]) -> bytes:
    data = bytearray(content)
    for one in writings:
        if one.data is None:
            del data[one.offset :]
            data.extend(bytes(one.offset - len(data)))
        else:
            data.extend(bytes(max(0, one.offset - len(data))))
            data[one.offset : one.offset + len(one.data)] = one.data
    return bytes(data)


def _half(writings: list[Writing]) -> list[Writing]:
    kept, rest = writings[: len(writings) // 2], writings[len(writings) // 2 :]
    if rest and rest[0].data:
        kept = [*kept, Writing(rest[0].at, rest[0].node, rest[0].offset, rest[0].data[: len(rest[0].data) // 2])]
    return kept


def _zeros(writings: list[Writing]) -> list[Writing]:
    return [w if w.data is None else Writing(w.at, w.node, w.offset, bytes(len(w.data))) for w in writings]


def _zero_tail(writings: list[Writing]) -> list[Writing]:
    if not writings or (data := writings[-1].data) is None:
        return writings
    last, half = writings[-1], len(data) // 2
    return [*writings[:-1], Writing(last.at, last.node, last.offset, data[:half] + bytes(len(data) - half))]


WAYS: Final[dict[str, Callable[[list[Writing]], list[Writing]]]] = {
    "all data": lambda writings: writings,
    "no data": lambda writings: [],
    "half of the data": _half,
    "zeros for data": _zeros,
    "the last half zeros": _zero_tail,
    "the last piece alone": lambda writings: writings[-1:],
    "all but the last piece": lambda writings: writings[:-1],
}
"""What may become of a file's data that were written and not synced."""


def completed(start: Tree, calls: Sequence[Call], end: Tree) -> list[Call]:
    """Add what the shim can't see, inferred from what is there in the end.

    The safetensors library renames by an instruction of its own, not by the C library; that is taken for the last call.
    TorchRL writes into maps of memory; those data are taken for written as soon as their file has its size, and for not
    synced.
    """
    known = Disk.of(start, calls)
    found = list(calls)
    seen = known.state(known.length, set(), lambda _, writings: writings)
    for path, content in seen.items():
        if path not in end and content is not None:
            new = next((name for name, there in end.items() if there == content and seen.get(name) != there), None)
            found += [Call("rename", path, new)] if new else []
    known = Disk.of(start, found)
    seen = known.state(known.length, set(), lambda _, writings: writings)
    mapped = []
    for path, content in end.items():
        if content is not None and seen.get(path) not in (None, content) and path in known.last_names:
            at, name = known.touched[known.last_names[path]]
            mapped.append((at, Call("write", name, data=content)))
    for at, call in sorted(mapped, key=lambda item: -item[0]):
        found.insert(at + 1, call)
    return found


def snapshot(place: Path) -> dict[str, bytes | None]:
    """Read a directory as a tree."""
    return {
        path.relative_to(place).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(place.rglob("*"))
        if not path.name.endswith("-shm")
    }


def build(tree: Tree, place: Path) -> None:
    """Make a tree on the filesystem."""
    for path, content in sorted(tree.items(), key=lambda item: item[0].count("/")):
        if content is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)


def digest(tree: Tree) -> bytes:
    """Tell trees apart."""
    found = hashlib.blake2b(digest_size=16)
    for path, content in sorted(tree.items()):
        found.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        found.update(content or b"")
    return found.digest()
