"""Damage a checkpoint in every way a disk, a copy or a person can: nothing damaged loads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch

from tests.reliability import checkpoint_faults as cf
from velora.checkpoint import Checkpoint
from velora.checkpoint.schema import FILE_NAMES, Part
from velora.core.errors import CheckpointError

ALL: tuple[Part, ...] = ("buffer_state", "train_state")


@pytest.fixture
def checkpoint() -> Iterator[Path]:
    run = cf.fast_directory()
    cf.save(run / "ep10", 1, *ALL)
    yield run / "ep10"
    shutil.rmtree(run)


def count_silent(path: Path, mutants: Iterable[bytes]) -> tuple[int, int]:
    """Try each mutant of one file; return how many there were and how many loaded."""
    original = path.read_bytes()
    tried = silent = 0
    for mutant in mutants:
        if mutant == original:
            continue
        path.write_bytes(mutant)
        tried += 1
        silent += loads(path.parent)
    path.write_bytes(original)
    assert loads(path.parent)
    return tried, silent


def loads(directory: Path) -> bool:
    try:
        cf.load(directory)
    except CheckpointError:
        return False
    return True


def flips(original: bytes, bits: Callable[[int], Iterable[int]]) -> Iterator[bytes]:
    for position, byte in enumerate(original):
        for bit in bits(position):
            yield original[:position] + bytes([byte ^ (1 << bit)]) + original[position + 1 :]


def try_everywhere(checkpoint: Path, what: str, mutate: Callable[[bytes], Iterable[bytes]]) -> None:
    """Apply one kind of damage to each file and print the counts."""
    tried = silent = 0
    for name in sorted(FILE_NAMES):
        path = checkpoint / name
        counts = count_silent(path, mutate(path.read_bytes()))
        tried, silent = tried + counts[0], silent + counts[1]
    print(f"\n{what}: {tried} tried, {silent} loaded silently")
    assert tried > 0
    assert silent == 0


@pytest.mark.slow
def test_one_bit_of_every_byte(checkpoint: Path) -> None:
    # 5 is the bit that turns 'e' into 'E' and a space into NUL: JSON would forgive the first.
    try_everywhere(checkpoint, "one bit in each byte", lambda raw: flips(raw, lambda position: [(position + 5) % 8]))


@pytest.mark.slow
def test_every_bit_of_every_byte(checkpoint: Path) -> None:
    try_everywhere(checkpoint, "every bit of each byte", lambda raw: flips(raw, lambda _: range(8)))


def test_truncations(checkpoint: Path) -> None:
    try_everywhere(checkpoint, "truncations", lambda raw: (raw[:length] for length in range(0, len(raw), 7)))


@pytest.mark.slow
def test_every_truncation(checkpoint: Path) -> None:
    try_everywhere(checkpoint, "every truncation", lambda raw: (raw[:length] for length in range(len(raw))))


def test_zeroed_repeated_and_appended_blocks(checkpoint: Path) -> None:
    def mutate(raw: bytes) -> Iterator[bytes]:
        for size in (1, 16, 64, 512, 4096):
            yield raw + bytes(size)
            yield raw + raw[:size]
            yield raw + b" " * size
            for start in range(0, len(raw), max(size // 2, 8)):
                block = raw[start : start + size]
                yield raw[:start] + bytes(len(block)) + raw[start + size :]
                yield raw[:start] + block + block + raw[start + len(block) :]
                yield raw[:start] + raw[start + size :]

    try_everywhere(checkpoint, "zeroed, repeated, cut-out and appended blocks", mutate)


def test_zero_tails(checkpoint: Path) -> None:
    """What a file looks like whose last pages never reached the disk."""
    try_everywhere(
        checkpoint,
        "zero tails",
        lambda raw: (raw[: len(raw) * part // 100].ljust(len(raw), b"\0") for part in (0, 10, 25, 50, 75, 90)),
    )


def test_files_swapped_between_checkpoints(checkpoint: Path) -> None:
    other = checkpoint.parent / "ep20"
    cf.save(other, 2, *ALL)
    donors = {name: (other / name).read_bytes() for name in FILE_NAMES}
    tried = silent = 0
    for name in sorted(FILE_NAMES):
        counts = count_silent(checkpoint / name, donors.values())
        tried, silent = tried + counts[0], silent + counts[1]
    for name in sorted(FILE_NAMES):  # all but one file from the other checkpoint
        mixed = checkpoint.parent / "mixed"
        shutil.copytree(other, mixed)
        shutil.copy(checkpoint / name, mixed / name)
        tried, silent = tried + 1, silent + loads(mixed)
        shutil.rmtree(mixed)
    print(f"\nswapped files: {tried} tried, {silent} loaded silently")
    assert silent == 0


def replace_by_link(path: Path) -> None:
    path.rename(path.parent.parent / f"real-{path.name}")
    path.symlink_to(path.parent.parent / f"real-{path.name}")


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "break_it", [Path.unlink, replace_by_link, replace_by_directory, replace_by_pipe, replace_by_device]
)
def test_something_else_in_place_of_a_file(checkpoint: Path, break_it: Callable[[Path], None]) -> None:
    """The load fails at once, leaves no file open, and the broken directory can be saved to again."""
    descriptors = len(os.listdir("/dev/fd"))
    for name in sorted(FILE_NAMES):
        victim = checkpoint.parent / f"without {name}"
        shutil.copytree(checkpoint, victim)
        break_it(victim / name)
        with pytest.raises(CheckpointError, match=name):
            cf.load(victim)
        cf.save(victim, 3)
        assert cf.same(cf.load(victim), cf.state(3))
    assert len(os.listdir("/dev/fd")) == descriptors


def test_a_stray_part_is_refused(checkpoint: Path) -> None:
    plain = checkpoint.parent / "ep20"
    cf.save(plain, 2)
    shutil.copy(checkpoint / "buffer_state.safetensors", plain)
    with pytest.raises(CheckpointError, match=r"buffer_state\.safetensors: not listed"):
        Checkpoint.open(plain)


def test_other_files_are_mentioned_and_never_read(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    (checkpoint / "notes.txt").write_text("mine")
    (checkpoint / ".DS_Store").write_text("")
    assert cf.same(cf.load(checkpoint), cf.state(1, *ALL))
    assert [record.message for record in caplog.records] == [
        f"{checkpoint / 'notes.txt'}: not part of the checkpoint, ignored"
    ]


def test_loaded_tensors_own_their_memory(checkpoint: Path) -> None:
    loaded = cf.load(checkpoint)
    for name in FILE_NAMES:
        with open(checkpoint / name, "r+b") as file:
            file.truncate(0)
            file.write(b"x" * 100)
    assert cf.same(loaded, cf.state(1, *ALL))
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(checkpoint) not in maps.read_text()
    loaded["model_state"]["actor.cell.bias"].zero_()
    assert torch.equal(loaded["model_state"]["actor.cell.weight"], cf.state(1)["model_state"]["actor.cell.weight"])


def test_latest_skips_broken_ones_with_a_warning(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = checkpoint.parent
    for version in (2, 3, 4, 5):
        cf.save(run / f"ep{version}0", version)
    raw = bytearray((run / "ep50" / "model_state.safetensors").read_bytes())
    raw[-1] ^= 1
    (run / "ep50" / "model_state.safetensors").write_bytes(raw)
    (run / "ep40" / "metadata.json").write_bytes(b"")
    (run / "ep30" / "optim_state.safetensors").unlink()
    os.utime(checkpoint)  # the clock says that the oldest is the newest
    assert Checkpoint.latest(run) == Checkpoint.open(run / "ep20")
    assert sorted(record.message.split("/")[-2] for record in caplog.records) == ["ep30", "ep40", "ep50"]
