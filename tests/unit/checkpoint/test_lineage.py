"""Branches of a run: what a checkpoint says of them, and which one is the newest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from velora.checkpoint import Checkpoint
from velora.checkpoint.branching import begin_branch
from velora.checkpoint.lineage import TRUNK, branched, holds, read_lineage
from velora.core.errors import CheckpointError

State = dict[Any, dict[str, Any]]
Extra = tuple[dict[str, Any], State]


def save(path: Path, fields: dict[str, Any], state: State, *, step: int, way: Any = None) -> Checkpoint:
    train_state = {"run_id": "1f", **({} if way is None else {"lineage": way})}
    members = fields | {"progress": {"episode": 1, "step": step, "update": 0}, "train_state": train_state}
    return Checkpoint.write(path, metadata=members, tensors=state | {"train_state": {}})


def test_a_checkpoint_that_says_nothing_is_of_the_trunk(tmp_path: Path, fields: dict[str, Any], state: State) -> None:
    assert read_lineage(None) == read_lineage({}) == TRUNK == ((0, 0),)
    checkpoint = save(tmp_path / "ep1", fields, state, step=70)
    assert (checkpoint.metadata.lineage, checkpoint.metadata.place) == (TRUNK, (0, 70))


def test_the_newest_is_the_furthest_in_the_newest_branch(tmp_path: Path, fields: dict[str, Any], state: State) -> None:
    save(tmp_path / "final", fields, state, step=1000)
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "final")
    save(tmp_path / "ep4", fields, state, step=400, way=[[0, 0], [1, 300]])
    save(tmp_path / "ep3", fields, state, step=300, way=[[0, 0], [1, 300]])
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "ep4")
    save(tmp_path / "ep1", fields, state, step=100, way=[[0, 0], [2, 100]])
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "ep1")


def test_what_a_branch_left_behind_is_not_on_its_way() -> None:
    way = branched(branched(TRUNK, 400, newest=0), 900, newest=4)
    assert way == ((0, 0), (1, 400), (5, 900))
    places = [(0, 0), (0, 400), (0, 401), (1, 400), (1, 900), (1, 1000), (4, 500), (5, 900), (5, 5000)]
    assert [holds(way, place) for place in places] == [True, True, False, True, True, False, False, True, True]


@pytest.mark.parametrize(
    "way",
    [
        [], [[0]], [[0, 0, 0]], [[0, -1]], [[-1, 0]], [[0.0, 0]], [[True, 0]], [["0", 0]], "trunk", {"0": 0}, 7,
        [[0, 0], [0, 5]], [[1, 0], [0, 5]], [[0, 5], [1, 4]], [[0, 2**60]], [[0, 0]] * 20_000,
    ],
    ids=lambda way: repr(way)[:20],
)  # fmt: skip
def test_a_forged_lineage_is_refused_in_one_line(
    tmp_path: Path, fields: dict[str, Any], state: State, way: JsonValue
) -> None:
    with pytest.raises(CheckpointError, match=r"train_state: .*lineage: expected") as error:
        save(tmp_path / "ep1", fields, state, step=1, way=way)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_branch_begins_with_the_very_files_of_the_checkpoint(
    tmp_path: Path, fields: dict[str, Any], state: State, buffer: Extra
) -> None:
    old = Checkpoint.write(
        tmp_path / "ep1",
        metadata=fields | buffer[0] | {"train_state": {"run_id": "1f"}, "velora_version": "0.1.0"},
        tensors=state | buffer[1] | {"train_state": {}},
    )
    begin_branch(old, ((0, 0), (1, 2000)))
    new = Checkpoint.open(tmp_path / "ep1")
    new.verify()
    assert new.metadata.lineage == ((0, 0), (1, 2000))
    assert new.metadata.train_state == {"run_id": "1f", "lineage": [[0, 0], [1, 2000]]}
    assert new.metadata.replace(train_state=old.metadata.train_state) == old.metadata
    assert os.listdir(tmp_path) == ["ep1"]


def test_a_branch_that_cannot_be_written_changes_nothing(
    tmp_path: Path, fields: dict[str, Any], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = save(tmp_path / "ep1", fields, state, step=70)

    def full(*arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        begin_branch(old, ((0, 0), (1, 70)))
    monkeypatch.undo()
    assert Checkpoint.open(tmp_path / "ep1") == old
    assert os.listdir(tmp_path) == ["ep1"]
