"""Load checkpoints that lie under valid digests: each is refused, at once, and nothing in it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import checkpoint_faults as cf
from tests.reliability import checkpoint_forgery as forgery
from velora.checkpoint import Checkpoint
from velora.checkpoint.open_header import Expected
from velora.checkpoint.schema import PARTS, Part
from velora.core.errors import CheckpointError

ALL: tuple[Part, ...] = ("buffer_state", "train_state")


@pytest.fixture
def honest() -> Iterator[Path]:
    run = cf.fast_directory()
    cf.save(run / "ep10", 1, *ALL)
    yield run / "ep10"
    shutil.rmtree(run)


def expected(part: Part) -> Expected:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in cf.state(1, *ALL)[part].items()}


def load(directory: Path) -> None:
    """Load as an agent does, which knows the tensors it needs."""
    checkpoint = Checkpoint.open(directory, agent="liquid_ddpg")
    for part in PARTS:
        checkpoint.read(part, expect=expected(part))


@pytest.mark.timeout(120)
def test_every_lie_is_refused(honest: Path) -> None:
    load(honest)
    complaints: Counter[str] = Counter()
    for name, lie in forgery.LIES.items():
        liar = honest.parent / "liar"
        shutil.copytree(honest, liar)
        lie(liar)
        with pytest.raises(CheckpointError) as error:
            load(liar)
        assert str(liar) in str(error.value), name
        assert "\n" not in str(error.value), name
        assert len(str(error.value)) < 700, name
        complaints["by a digest" if "SHA-256" in str(error.value) else "by what it says"] += 1
        assert name.startswith(("text:", "metadata: files/")) or "SHA-256" not in str(error.value), name
        shutil.rmtree(liar)
    print(f"\nlies under valid digests: {sum(complaints.values())} tried, 0 loaded, {dict(complaints)}")


def test_a_saved_liar_never_blocks_the_next_save(honest: Path) -> None:
    for name, lie in list(forgery.LIES.items())[::7]:
        liar = honest.parent / "liar"
        shutil.copytree(honest, liar)
        lie(liar)
        cf.save(liar, 2)
        assert cf.same(cf.load(liar), cf.state(2)), name
        shutil.rmtree(liar)


@pytest.mark.timeout(60)
def test_a_tensor_larger_than_memory_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """A sparse file of 8 TiB costs nothing to make, and would take an hour to hash."""
    directory = cf.save(tmp_path / "ep10", 1, "buffer_state").path
    size = 1 << 43
    path = directory / "buffer_state.safetensors"
    path.write_bytes(forgery.tensor_file({"obs": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, b""))
    total = path.stat().st_size + size
    try:
        os.truncate(path, total)
    except OSError:
        pytest.skip("this filesystem has no files of 8 TiB")
    forgery.forge(directory, metadata=lambda document: document["files"][path.name].update(size_bytes=total))
    with pytest.raises(CheckpointError, match=r"buffer_state\.safetensors: its 8796093022.* memory"):
        Checkpoint.open(directory).read("buffer_state")
    assert Checkpoint.latest(tmp_path) is None


AUDIT = """
import json, sys
from collections import Counter
from pathlib import Path
from velora.checkpoint import Checkpoint

forbidden = ("import", "exec", "compile", "pickle", "marshal", "code.", "os.system", "os.exec", "os.posix_spawn",
             "os.fork", "subprocess", "ctypes", "socket", "webbrowser", "mmap", "cpython.run",
             "shutil", "os.rename", "os.remove")
events, loaded, watching = Counter(), 0, False

def hook(event, args):
    if watching and event.startswith(forbidden):
        events[event + " " + repr(args)[:80]] += 1

sys.addaudithook(hook)
directories = sorted(Path(sys.argv[1]).iterdir())
watching = True
for directory in directories:
    try:
        checkpoint = Checkpoint.open(directory)
        for name in ("model_state", "optim_state", "buffer_state", "train_state"):
            checkpoint.read(name)
        loaded += 1
    except ValueError:
        pass
latest = Checkpoint.latest(sys.argv[1])
watching = False
print(json.dumps({"events": events, "directories": len(directories), "loaded": loaded, "latest": latest.path.name}))
"""


@pytest.mark.timeout(120)
def test_loading_runs_nothing(honest: Path) -> None:
    """In a fresh interpreter: no import, exec, compile, unpickling, process or mapping, whatever the files say."""
    corpus = honest.parent / "corpus"
    lies = [lie for name, lie in forgery.LIES.items() if "100" not in name]
    for number, lie in enumerate(lies):
        shutil.copytree(honest, corpus / f"ep{number:04}")
        lie(corpus / f"ep{number:04}")
    cf.save(corpus / "honest", 7, *ALL)
    done = subprocess.run([sys.executable, "-c", AUDIT, str(corpus)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    print(f"\naudit: {report['directories']} directories, {report['loaded']} loaded, {len(report['events'])} events")
    assert report["events"] == {}
    assert report["latest"] == "honest"


MEMORY = """
import sys, torch
from pathlib import Path
from tests.reliability import checkpoint_faults as cf
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError

def kib(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])

def extra_mib(action):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is used now
    before = kib("VmRSS")
    result = action()
    print((kib("VmHWM") - before) >> 10)
    return result

def refuse():
    for liar in Path(sys.argv[1], "liars").iterdir():
        try:
            Checkpoint.open(liar).read("model_state")
        except CheckpointError:
            continue
        raise SystemExit(f"{liar} loaded")

torch.set_num_threads(1)
run = Path(sys.argv[1])
cf.load(cf.save(run / "warm", 1, "buffer_state").path)
buffer = torch.arange(24 << 20, dtype=torch.float32).view(1, -1, 8).transpose(1, 2)  # 96 MiB, not contiguous
tensors = {**cf.state(1), "buffer_state": {"obs": buffer}}
metadata = cf.fields(1, "buffer_state")
checkpoint = extra_mib(lambda: Checkpoint.write(run / "big", metadata=metadata, tensors=tensors))
extra_mib(checkpoint.verify)
loaded = extra_mib(lambda: checkpoint.read("buffer_state"))
assert torch.equal(loaded["obs"], buffer)
extra_mib(refuse)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory(tmp_path: Path) -> None:
    """A large buffer is never held twice, and a file made to be large is refused within a few megabytes."""
    for name in ("file: header of 100 MB", "file: header over 1 MiB", "text: 100 MB", "text: deep objects"):
        liar = cf.save(tmp_path / "liars" / name, 1, *ALL).path
        forgery.LIES[name](liar)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(cf.__file__).parents[2],
    )
    saving, verifying, reading, refusing = map(int, done.stdout.split())
    print(f"\n96 MiB buffer, MiB more at the peak: {saving} to save, {verifying} to verify, {reading} to read", end="")
    print(f"; {refusing} to refuse four bombs")
    assert saving < 32
    assert verifying < 16
    assert 96 <= reading < 128
    assert refusing < 16
