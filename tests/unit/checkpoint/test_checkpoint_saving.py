"""What a save keeps, what it refuses before it writes, and in which order it writes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from velora.checkpoint import Checkpoint, Metadata, files, tensors
from velora.checkpoint.schema import Part
from velora.checkpoint.staging import Stage
from velora.core.errors import CheckpointError

Fields = dict[str, Any]
State = dict[Part, dict[str, torch.Tensor]]
Extra = tuple[Fields, State]
OneLine = Callable[[BaseException], bool]


def test_the_users_document_in_sequence(tmp_path: Path, fields: Fields, state: State, buffer: Extra) -> None:
    """Save, save with the buffer, save with the config, load, load with the buffer: one directory throughout."""
    target = tmp_path / "checkpoints" / "ddpg-InvertedPendulum" / "ep10"
    Checkpoint.write(target, metadata=fields, tensors=state)
    Checkpoint.write(target, metadata=fields | buffer[0], tensors=state | buffer[1])
    Checkpoint.write(target, metadata=fields, tensors=state, config={"agent": "LiquidDDPG"})
    checkpoint = Checkpoint.open(target)
    checkpoint.verify()
    assert checkpoint.metadata.buffer == buffer[0]["buffer"]
    assert torch.equal(checkpoint.read("buffer_state")["obs"], buffer[1]["buffer_state"]["obs"])


@pytest.mark.parametrize("has_links", [True, False])
def test_the_same_state_keeps_what_was_saved_with_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fields: Fields,
    state: State,
    buffer: Extra,
    train: Extra,
    has_links: bool,
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", refuse_link)
    everything = fields | buffer[0] | train[0], state | buffer[1] | train[1]

    def kept(metadata: Fields, tensors: State, **options: Any) -> set[str]:
        Checkpoint.write(tmp_path / "ep10", metadata=everything[0], tensors=everything[1])
        Checkpoint.write(tmp_path / "ep10", metadata=metadata, tensors=tensors, **options)
        checkpoint = Checkpoint.open(tmp_path / "ep10")
        checkpoint.verify()
        return {name for name in ("buffer", "train_state") if getattr(checkpoint.metadata, name) is not None}

    later = {"progress": {"episode": 11, "step": 2001, "update": 1000}}
    assert kept(fields, state) == {"buffer", "train_state"}
    assert kept(fields | train[0], state | train[1]) == {"buffer", "train_state"}
    assert kept(fields | later, state) == {"buffer"}
    assert kept(fields, state, keep_buffer=False) == set()
    assert kept(fields | {"settings": {"n_neurons": 11}}, state) == set()
    assert kept(fields, state | {"optim_state": {}}) == set()
    assert kept(fields, state | {"model_state": {"w": torch.zeros(1)}}) == set()


def refuse_link(*paths: object, **options: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_full_disk_while_copying_the_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State, buffer: Extra
) -> None:
    """Without hard links the buffer is copied; what fails then is the writing, not the reading."""
    before = Checkpoint.write(tmp_path / "ep10", metadata=fields | buffer[0], tensors=state | buffer[1])
    write_all = files.write_all

    def fill_up(descriptor: int, data: bytes) -> None:
        if data == (tmp_path / "ep10" / "buffer_state.safetensors").read_bytes():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, data)

    monkeypatch.setattr(os, "link", refuse_link)
    monkeypatch.setattr(files, "write_all", fill_up)
    with pytest.raises(CheckpointError, match=r"ep10/buffer_state\.safetensors: can't be written \(No space left"):
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    assert Checkpoint.open(tmp_path / "ep10") == before
    assert os.listdir(tmp_path) == ["ep10"]


def test_the_working_directory_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="working directory"):
        Checkpoint.write(".", metadata=fields, tensors=state)


def test_a_damaged_buffer_is_not_kept(
    tmp_path: Path, fields: Fields, state: State, buffer: Extra, caplog: pytest.LogCaptureFixture
) -> None:
    target = Checkpoint.write(tmp_path / "ep10", metadata=fields | buffer[0], tensors=state | buffer[1]).path
    raw = (target / "buffer_state.safetensors").read_bytes()
    (target / "buffer_state.safetensors").write_bytes(raw[:-1] + b"\xff")
    assert Checkpoint.write(target, metadata=fields, tensors=state).metadata.buffer is None
    assert [record.message.split(":")[0] for record in caplog.records] == ["not kept"]
    assert "buffer_state.safetensors" not in os.listdir(target)


def test_numpy_values_are_saved_as_what_they_are(tmp_path: Path, fields: Fields, state: State) -> None:
    """np.int64 sizes, as np.prod returns them, once left half a checkpoint behind."""
    fields["settings"] = {"n": np.int64(4), "lr": np.float64(0.5), "flag": np.bool_(True), "units": (np.int32(6), 7)}
    Checkpoint.write(tmp_path / "ep10", metadata=fields | {"seed": np.int64(5)}, tensors=state)
    metadata = Checkpoint.open(tmp_path / "ep10").metadata
    assert metadata.settings == {"n": 4, "lr": 0.5, "flag": True, "units": [6, 7]}
    assert [type(value) for value in metadata.settings.values()] == [int, float, bool, list]
    assert metadata.seed == 5


def bad_inputs() -> dict[str, tuple[Fields, State]]:
    weight = torch.ones(2)
    optim: State = {"optim_state": {}}
    return {
        "settings.device: expected a JSON value": ({"settings": {"device": torch.device("cpu")}}, {}),
        "settings.a: expected a finite number": ({"settings": {"a": float("nan")}}, {}),
        "settings.a: expected a whole number below": ({"settings": {"a": 2**128}}, {}),
        "settings.a: expected text": ({"settings": {"a": "\ud83d"}}, {}),
        "settings: expected text": ({"settings": {"\udfff": 1}}, {}),
        "settings: expected string keys": ({"settings": {1: 2}}, {}),
        "settings.array: expected a JSON value": ({"settings": {"array": np.zeros(3)}}, {}),
        "at most 1048576 bytes of JSON": ({"settings": {"a": "x" * (1 << 20)}}, {}),
        "unknown: Extra inputs": ({"unknown": 1}, {}),
        "agent: String should match": ({"agent": "os.system()"}, {}),
        "seed: Input should be": ({"seed": -1}, {}),
        "both or neither for buffer_state, received a member": (
            {"buffer": {"capacity": 4, "size": 3, "position": 3}},
            {},
        ),
        "both or neither for train_state, received tensors": ({}, {"train_state": {}}),
        "position < capacity; received": ({"buffer": {"capacity": 4, "size": 4, "position": 4}}, {"buffer_state": {}}),
        "received 'models'": ({}, {"models": {}}),  # type: ignore[dict-item]
        "actor.w: expected finite values": ({}, {"model_state": {"actor.w": weight / 0}}),
        "step: expected finite values": ({}, {"optim_state": {"step": torch.tensor(float("nan"))}}),
        "expected a dense tensor": ({}, {"model_state": {"w": weight.to_sparse()}}),
        "received torch.complex64": ({}, {"model_state": {"w": weight.to(torch.complex64)}}),
        "on meta": ({}, {"model_state": {"w": weight.to("meta")}}),
        "expected a tensor, received list": ({}, {"model_state": {"w": [1.0]}}),  # type: ignore[dict-item]
        "expected a tensor name": ({}, {"model_state": {"../w": weight}, **optim}),
        "received '__metadata__'": ({}, {"model_state": {"__metadata__": weight}}),
        "at most 10000 tensors": ({}, {"model_state": {f"w{i}": weight for i in range(10_001)}}),
    }


@pytest.mark.parametrize("complaint", bad_inputs())
def test_bad_input_leaves_nothing(
    tmp_path: Path, fields: Fields, state: State, one_line: OneLine, complaint: str
) -> None:
    metadata, parts = bad_inputs()[complaint]
    with pytest.raises(CheckpointError) as error:
        Checkpoint.write(tmp_path / "a" / "ep10", metadata=fields | metadata, tensors=state | parts, config={"a": 1})
    assert complaint in str(error.value)
    assert one_line(error.value)
    assert os.listdir(tmp_path) == []


def test_a_missing_required_part(tmp_path: Path, fields: Fields, state: State) -> None:
    with pytest.raises(CheckpointError, match="expected 'optim_state'"):
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors={"model_state": state["model_state"]})


def test_buffers_and_train_states_may_hold_nan(tmp_path: Path, fields: Fields, state: State, buffer: Extra) -> None:
    buffer[1]["buffer_state"]["obs"][3] = float("nan")
    Checkpoint.write(tmp_path / "ep10", metadata=fields | buffer[0], tensors=state | buffer[1])
    assert Checkpoint.open(tmp_path / "ep10").read("buffer_state")["obs"][3].isnan().all()


def test_the_overview_is_written_once(tmp_path: Path, fields: Fields, state: State, one_line: OneLine) -> None:
    overview = {"agent": "LiquidDDPG", "n_neurons": np.int64(8)}
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state, config=overview)
    written = (tmp_path / "model_config.json").stat()
    Checkpoint.write(tmp_path / "ep20", metadata=fields, tensors=state, config=overview)
    now = (tmp_path / "model_config.json").stat()
    assert (now.st_ino, now.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)  # not atime: reading it is allowed
    with pytest.raises(CheckpointError, match=r"'n_neurons': 8 there, 24 here.*another parent directory") as error:
        Checkpoint.write(tmp_path / "ep30", metadata=fields, tensors=state, config=overview | {"n_neurons": 24})
    assert one_line(error.value)
    assert sorted(os.listdir(tmp_path)) == ["ep10", "ep20", "model_config.json"]
    (tmp_path / "model_config.json").write_text("not JSON")
    with pytest.raises(CheckpointError, match=r"model_config\.json: describes another agent"):
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state, config=overview)
    assert (tmp_path / "model_config.json").read_text() == "not JSON"


def test_the_overview_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State
) -> None:
    monkeypatch.setattr(os, "link", refuse_link)
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state, config={"agent": "LiquidDDPG"})
    assert sorted(os.listdir(tmp_path)) == ["ep10", "model_config.json"]


def test_every_file_is_on_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State
) -> None:
    """Record the calls of an overwrite: each file synced, metadata last, directory, exchange, parent."""
    Checkpoint.write(tmp_path / "ep10", metadata=fields | {"seed": 4}, tensors=state)
    trace: list[str] = []
    record_calls(monkeypatch, trace)
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    names = [
        *("model_state.safetensors", "optim_state.safetensors", "metadata.json"),
        *("new", "rename", "exchange", tmp_path.name),
    ]
    assert trace == [f"sync {name}" if name not in {"rename", "exchange"} else name for name in names]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to begin")
def test_a_system_that_cant_begin_early_still_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State
) -> None:
    asked: list[int] = []

    def refuse(descriptor: int, *rest: int) -> None:
        asked.append(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state).verify()
    assert len(asked) == 3
    for descriptor in asked:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.fstat(descriptor)


def record_calls(monkeypatch: pytest.MonkeyPatch, trace: list[str]) -> None:
    fsync, rename, exchange = os.fsync, os.rename, files.exchange

    def traced_fsync(descriptor: int) -> None:
        trace.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    def traced_rename(*paths: Path) -> None:
        trace.append("rename")
        rename(*paths)

    def traced_exchange(*paths: Path) -> bool:
        trace.append("exchange")
        return exchange(*paths)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    monkeypatch.setattr(files, "exchange", traced_exchange)


def test_the_stage_of_a_live_writer_is_left_alone(tmp_path: Path, fields: Fields, state: State) -> None:
    with Stage(tmp_path / "ep20") as stage:
        Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
        assert stage.new.is_dir()
    assert os.listdir(tmp_path) == ["ep10"]


@pytest.mark.parametrize("can_lock", [True, False])
def test_a_left_over_stage_goes_only_if_its_writer_is_known_to_be_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: Fields, state: State, can_lock: bool
) -> None:
    (tmp_path / ".velora-stage-1-0123456789abcdef" / "new").mkdir(parents=True)
    (tmp_path / ".velora-stage-mine").mkdir()
    if not can_lock:
        monkeypatch.setattr(files, "lock_directory", lambda path: None)
    Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    left = [".velora-stage-mine", "ep10"]
    assert sorted(os.listdir(tmp_path)) == (left if can_lock else [".velora-stage-1-0123456789abcdef", *left])


def test_a_target_moved_away_by_a_dead_writer_comes_back(tmp_path: Path, fields: Fields, state: State) -> None:
    checkpoint = Checkpoint.write(tmp_path / "ep10", metadata=fields, tensors=state)
    stage = tmp_path / ".velora-stage-1-0123456789abcdef"
    for find in (Checkpoint.open, lambda path: Checkpoint.latest(path.parent)):
        (stage / "old").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ep10").rename(stage / "old" / "ep10")
        assert find(tmp_path / "ep10") == checkpoint


def test_metadata_of_a_checkpoint_can_be_saved_again(tmp_path: Path, fields: Fields, state: State) -> None:
    first = Checkpoint.write(tmp_path / "ep10", metadata=Metadata.build(fields), tensors=state)
    second = Checkpoint.write(tmp_path / "ep20", metadata=first.metadata, tensors=state)
    assert second.metadata == first.metadata


def test_digests_depend_on_the_values_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.arange(60.0).view(3, 4, 5)
    first = tensors.write(tmp_path / "a", {"x": tensor, "b": tensor[0]})
    monkeypatch.setattr(tensors, "CHUNK_BYTES", 16)
    strided = torch.stack([tensor, tensor], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    assert tensors.write(tmp_path / "b", {"b": tensor[0].clone(), "x": strided}) == first
