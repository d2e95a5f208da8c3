"""What a disk may hold after a power cut, by hand for the few calls that everything rests on."""

from __future__ import annotations

import random

from benchmarks.reliability.disk import Disk, Tree
from benchmarks.reliability.trace import Call

OLD: Tree = {"f": b"old"}


def outcomes(start: Tree, *calls: Call) -> list[Tree]:
    """List all that may be there after the last call."""
    disk = Disk.of(start, calls)
    return [disk.tree(outcome) for outcome in disk.outcomes(len(calls), random.Random(0), mixed=40)]


def written(*, sync: bool) -> list[Call]:
    """Write a new file beside the old one."""
    calls = [Call("open", "t", is_new=True), Call("write", "t", data=b"new!")]
    return [*calls, Call("fsync", "t")] if sync else calls


def test_what_was_not_synced_may_be_whole_cut_or_zero() -> None:
    found = {tree.get("t") for tree in outcomes(OLD, *written(sync=False))}
    assert found == {None, b"", b"new!", b"ne", b"ne\0\0", b"\0\0\0\0"}


def test_synced_data_are_there_whenever_their_name_is() -> None:
    assert {tree.get("t") for tree in outcomes(OLD, *written(sync=True))} == {None, b"new!"}


def test_a_rename_without_a_sync_may_leave_an_empty_file() -> None:
    found = {tree.get("f") for tree in outcomes(OLD, *written(sync=False), Call("rename", "t", "f"))}
    assert {b"old", b"new!", b""} <= found


def test_the_protocol_leaves_the_old_or_the_new() -> None:
    calls = [*written(sync=True), Call("rename", "t", "f")]
    assert {tree.get("f") for tree in outcomes(OLD, *calls)} == {b"old", b"new!"}
    assert {tree.get("f") for tree in outcomes(OLD, *calls, Call("fsync", "."))} == {b"new!"}


def test_names_may_come_back_in_another_order() -> None:
    calls = [Call("open", "a", is_new=True), Call("unlink", "f"), Call("open", "b", is_new=True)]
    found = {frozenset(tree) for tree in outcomes(OLD, *calls)}
    assert {frozenset({"f"}), frozenset({"a", "b"}), frozenset({"f", "b"}), frozenset({"b"})} <= found


def test_an_exchange_is_one_step() -> None:
    start: Tree = {"a": None, "a/x": b"1", "b": None, "b/x": b"2"}
    found = {(tree["a/x"], tree["b/x"]) for tree in outcomes(start, Call("exchange", "a", "b"))}
    assert found == {(b"1", b"2"), (b"2", b"1")}


def test_a_truncation_and_a_write_over_are_data() -> None:
    calls = [Call("open", "f"), Call("write", "f", data=b"longer"), Call("truncate", "f", offset=2)]
    found = {tree["f"] for tree in outcomes(OLD, *calls)}
    assert {b"old", b"lo"} <= found
    assert {tree["f"] for tree in outcomes(OLD, *calls, Call("fsync", "f"))} == {b"lo"}


def test_the_memory_map_of_sqlite_is_left_out() -> None:
    assert {frozenset(tree) for tree in outcomes({}, Call("open", "m.db-shm", is_new=True))} == {frozenset()}
