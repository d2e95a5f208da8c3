"""What a checkpoint directory holds, and what saving and opening refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from velora.checkpoint import Checkpoint, MissingCheckpointError, agents
from velora.checkpoint.schema import Part
from velora.core.errors import CheckpointError, VeloraError

Fields = dict[str, Any]
State = dict[Part, dict[str, torch.Tensor]]
Extra = tuple[Fields, State]


def test_the_files_are_those_of_the_document(tmp_path: Path, fields: Fields, state: State, buffer: Extra) -> None:
    Checkpoint.write(tmp_path / "run" / "ep10", metadata=fields, tensors=state)
    plain = ["metadata.json", "model_state.safetensors", "optim_state.safetensors"]
    assert sorted(os.listdir(tmp_path / "run" / "ep10")) == plain
    assert "buffer" not in json.loads((tmp_path / "run" / "ep10" / "metadata.json").read_text())
    Checkpoint.write(
        tmp_path / "run" / "ep10",
        metadata=fields | buffer[0],
        tensors=state | buffer[1],
        config={"agent": "LiquidDDPG"},
    )
    assert sorted(os.listdir(tmp_path / "run" / "ep10")) == ["buffer_state.safetensors", *plain]
    assert sorted(os.listdir(tmp_path / "run")) == ["ep10", "model_config.json"]
    assert json.loads((tmp_path / "run" / "model_config.json").read_text()) == {"agent": "LiquidDDPG"}


def test_the_safetensors_library_reads_the_files(tmp_path: Path, fields: Fields, state: State) -> None:
    path = Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state | {"optim_state": {}}).path
    loaded = safetensors.torch.load_file(path / "model_state.safetensors")
    assert loaded.keys() == state["model_state"].keys()
    assert torch.equal(loaded["actor.weight"], state["model_state"]["actor.weight"])
    assert safetensors.torch.load_file(path / "optim_state.safetensors") == {}


def test_what_is_written_is_opened(tmp_path: Path, fields: Fields, state: State, train: Extra) -> None:
    written = Checkpoint.write(tmp_path / "ep10", metadata=fields | train[0], tensors=state | train[1])
    opened = Checkpoint.open(tmp_path / "ep10", agent="liquid_ddpg")
    assert opened == written
    assert opened.metadata.settings == fields["settings"]
    assert opened.metadata.progress.step == 2000
    assert opened.metadata.train_state == {"best": -200.5}
    assert torch.equal(opened.read("model_state")["actor.bias"], torch.tensor([[-1.0, 0.5]]))
    assert opened.read("optim_state")["actor.step"].shape == ()
    assert opened.read("train_state")["generator"].tolist() == [0, 1, 2, 3]
    opened.verify()


@pytest.mark.parametrize("name", ["a/b/c/ep10", "with space/ep 10", "grün/ep⓾", "ep10/", "./ep10", "x" * 255])
def test_any_path_that_the_system_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Checkpoint.write(name, metadata=fields, tensors=state)
    checkpoint = Checkpoint.open(name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert checkpoint.read("model_state").keys() == {"actor.weight", "actor.bias"}


def test_links_to_directories_are_followed_and_kept(tmp_path: Path, fields: Fields, state: State) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")
    (tmp_path / "best").symlink_to("run/ep10")
    for target in ("run/ep10", "best", "run/../best"):
        Checkpoint.write(tmp_path / target, metadata=fields, tensors=state)
        Checkpoint.open(tmp_path / target).verify()
    assert (tmp_path / "run").is_symlink()
    assert (tmp_path / "best").is_symlink()
    assert os.listdir(tmp_path / "disk") == ["ep10"]


@pytest.mark.parametrize("name", ["", "/", "a\0b", None, 3, "x" * 256])
def test_impossible_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State, name: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        Checkpoint.write(name, metadata=fields, tensors=state)
    with pytest.raises(CheckpointError):
        Checkpoint.open(name)
    assert os.listdir(tmp_path) == []


def test_a_missing_checkpoint_is_both_kinds_of_error(tmp_path: Path) -> None:
    for path in (tmp_path / "ep10", tmp_path / "no" / "parent", tmp_path):
        with pytest.raises(MissingCheckpointError) as error:
            Checkpoint.open(path)
        assert isinstance(error.value, FileNotFoundError)
        assert isinstance(error.value, VeloraError)
        assert str(path) in str(error.value)


def test_another_agents_checkpoint_names_the_class_to_use(tmp_path: Path, fields: Fields, state: State) -> None:
    Checkpoint.write(tmp_path / "ep10", metadata=fields | {"agent": "unit_test_agent"}, tensors=state)
    with pytest.raises(CheckpointError, match=r"holds a 'unit_test_agent' agent, not 'liquid_ddpg'; load it with that"):
        Checkpoint.open(tmp_path / "ep10", agent="liquid_ddpg")

    @agents.register("unit_test_agent")
    class UnitTestAgent: ...

    with pytest.raises(CheckpointError, match=r"load it with UnitTestAgent\.load"):
        Checkpoint.open(tmp_path / "ep10", agent="liquid_ddpg")


def test_a_part_that_was_not_saved(tmp_path: Path, fields: Fields, state: State) -> None:
    checkpoint = Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    with pytest.raises(CheckpointError, match=r"buffer_state\.safetensors: no buffer was saved.*buffer=False"):
        checkpoint.read("buffer_state")
    with pytest.raises(CheckpointError, match="a run can't be resumed"):
        checkpoint.read("train_state")


def test_overwrite_false_refuses_a_checkpoint_but_not_an_empty_directory(
    tmp_path: Path, fields: Fields, state: State
) -> None:
    (tmp_path / "ep10").mkdir()
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state, overwrite=False)
    before = Checkpoint.open(tmp_path / "ep10")
    with pytest.raises(CheckpointError, match="overwrite=True"):
        Checkpoint.write(tmp_path / "ep10", metadata=fields | {"seed": 4}, tensors=state, overwrite=False)
    assert Checkpoint.open(tmp_path / "ep10") == before


@pytest.mark.parametrize("name", ["notes.txt", "events.out", "ep20/metadata.json", "model_state.safetensors/x"])
def test_a_directory_with_anything_else_is_refused(tmp_path: Path, fields: Fields, state: State, name: str) -> None:
    for has_checkpoint in (False, True):
        target = tmp_path / f"{has_checkpoint}"
        if has_checkpoint:
            Checkpoint.write(target, metadata=fields, tensors=state)
            (target / "model_state.safetensors").unlink()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("mine")
        before = sorted(target.rglob("*"))
        with pytest.raises(CheckpointError, match=f"{name.split('/')[0]}' in it; choose another directory"):
            Checkpoint.write(target, metadata=fields, tensors=state)
        assert sorted(target.rglob("*")) == before


def test_another_programs_metadata_is_refused(tmp_path: Path, fields: Fields, state: State) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text('{"title": "my data set"}')
    with pytest.raises(CheckpointError, match=r"metadata\.json"):
        Checkpoint.write(tmp_path / "data", metadata=fields, tensors=state)
    assert "my data set" in (tmp_path / "data" / "metadata.json").read_text()


def test_a_file_in_place_of_the_directory_or_a_parent(tmp_path: Path, fields: Fields, state: State) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "ep10"):
        with pytest.raises(CheckpointError, match="file"):
            Checkpoint.write(target, metadata=fields, tensors=state)
        with pytest.raises(CheckpointError, match="file"):
            Checkpoint.open(target)
    assert (tmp_path / "file").read_text() == "mine"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 99}', b"\0" * 64])
def test_a_broken_checkpoint_never_blocks_a_save(tmp_path: Path, fields: Fields, state: State, content: bytes) -> None:
    for name in ("metadata.json", "model_state.safetensors", "optim_state.safetensors"):
        (tmp_path / "ep10").mkdir(exist_ok=True)
        (tmp_path / "ep10" / name).write_bytes(content)
        (tmp_path / "ep10" / ".DS_Store").write_bytes(b"")
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state).verify()
        assert os.listdir(tmp_path) == ["ep10"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory(tmp_path: Path, fields: Fields, state: State) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="can't be written"):
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)


def test_replaced_while_it_is_being_read(tmp_path: Path, fields: Fields, state: State) -> None:
    checkpoint = Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    Checkpoint.write(
        tmp_path / "ep10",
        metadata=fields,
        tensors=state | {"model_state": {"actor.weight": torch.zeros(1)}},
    )
    with pytest.raises(CheckpointError, match="replaced by another save"):
        checkpoint.read("model_state")


def test_latest_is_by_step(tmp_path: Path, fields: Fields, state: State, train: Extra) -> None:
    def save(name: str, step: int, extra: Extra = ({}, {})) -> None:
        progress = {"episode": 1, "step": step, "update": 0}
        Checkpoint.write(tmp_path / name, metadata=fields | {"progress": progress} | extra[0], tensors=state | extra[1])

    assert Checkpoint.latest(tmp_path) is None
    assert Checkpoint.latest(tmp_path / "nowhere") is None
    save("ep30", 100)
    save("ep20", 300)
    save("ep100", 200)
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "ep20")
    save("checkpoints/final", 300, train)
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "checkpoints" / "final")
    assert Checkpoint.latest(tmp_path / "checkpoints") == Checkpoint.open(tmp_path / "checkpoints" / "final")


def test_latest_passes_over_what_is_no_checkpoint(
    tmp_path: Path, fields: Fields, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    Checkpoint.write(tmp_path / "seed0" / "ep10", metadata=fields, tensors=state)
    Checkpoint.write(tmp_path / ".hidden", metadata=fields, tensors=state)
    (tmp_path / "metrics.db").write_text("")
    (tmp_path / "empty").mkdir()
    assert Checkpoint.latest(tmp_path) == Checkpoint.open(tmp_path / "ep10")
    assert caplog.records == []
