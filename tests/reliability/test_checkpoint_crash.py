"""Kill a real process at every write-side call of a save, and let every such call fail."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reliability import checkpoint_faults as cf
from velora.checkpoint import Checkpoint, files
from velora.core.errors import CheckpointError

Trial = Callable[..., int]


@pytest.fixture
def run() -> Iterator[Path]:
    directory = cf.fast_directory()
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    """Run one save in a forked process; the answer is its exit code (-9: killed)."""
    server = subprocess.Popen(
        [sys.executable, cf.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def ask(**request: object) -> int:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    yield ask
    server.communicate()


def outcome(scenario: cf.Scenario, target: Path) -> str:
    """Say what a reader finds after a fault: old or new, whole, or an error; anything else is a failure."""
    try:
        found = cf.load(target)
    except FileNotFoundError:
        assert scenario.old() is None, "the old checkpoint is gone"
        return "nothing yet"
    old = scenario.old()
    if old is not None and cf.same(found, old):
        return "old"
    assert cf.same(found, scenario.new()), "neither the old nor the new checkpoint"
    return "new"


def assert_usable(target: Path) -> None:
    """Save again to the same place, as the next run would: it works and leaves no litter."""
    cf.save(target, 9)
    assert cf.same(cf.load(target), cf.state(9))
    assert set(os.listdir(target.parent)) <= {"ep10", "model_config.json"}
    latest = Checkpoint.latest(target.parent)
    assert latest is not None
    assert latest.metadata.progress.episode == 9


def kill_everywhere(name: str, actions: tuple[str, ...], trial: Trial, run: Path) -> None:
    scenario = cf.SCENARIOS[name]
    calls = cf.count_calls(scenario)
    found: Counter[str] = Counter()
    for at, call in enumerate(calls):
        for action in actions:
            if action == "half" and not call.startswith("write"):
                continue
            target = scenario.prepare(run / f"{at}-{action}")
            assert trial(scenario=name, target=str(target), at=at, action=action) == -signal.SIGKILL
            found[outcome(scenario, target)] += 1
            assert_usable(target)
    print(f"\n{name}: {len(calls)} calls, {sum(found.values())} kills, {dict(found)}, lost 0, mixed 0")
    assert found["new"] > 0 or cf.same(scenario.new(), scenario.old() or {})


@pytest.mark.parametrize("name", cf.SCENARIOS)
@pytest.mark.some(3)
def test_kill_at_every_call(name: str, trial: Trial, run: Path) -> None:
    """Before each call (which is after the one before it), and half-way through each write."""
    kill_everywhere(name, ("before", "half"), trial, run)


@pytest.mark.slow
@pytest.mark.parametrize("name", cf.SCENARIOS)
def test_kill_after_every_call(name: str, trial: Trial, run: Path) -> None:
    kill_everywhere(name, ("after",), trial, run)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("name", cf.SCENARIOS)
@pytest.mark.some(8)
def test_every_call_fails(name: str, code: int, run: Path) -> None:
    scenario = cf.SCENARIOS[name]
    calls = cf.count_calls(scenario)
    found: Counter[str] = Counter()
    for at in range(len(calls)):
        for persistent in (False, True):
            directory = run / f"{at}-{persistent}"
            target = scenario.prepare(directory)
            error = save_with_faults(scenario, target, cf.Faults(at, code, persistent))
            if error is None:
                kind = "saved"
                assert cf.same(cf.load(target), scenario.new())
            else:
                kind = "refused, " + outcome(scenario, target)
                assert str(directory) in str(error)
                assert os.strerror(code) in str(error)
                assert "\n" not in str(error)
            if error is not None and not persistent:
                assert kind != "refused, new"
                assert not [entry for entry in directory.rglob("*") if "velora-stage" in entry.name]
            found[kind] += 1
            assert_usable(target)
    print(f"\n{name}, {errno.errorcode[code]}: {sum(found.values())} failures, {dict(found)}")


def save_with_faults(scenario: cf.Scenario, target: Path, faults: cf.Faults) -> CheckpointError | None:
    exchange = files.exchange
    try:
        with faults.active():
            scenario.perform(target)
    except CheckpointError as error:
        return error
    finally:
        files.exchange = exchange
    return None


@pytest.mark.parametrize("name", ["first save", "overwrite with buffer"])
def test_file_size_limit(name: str, trial: Trial, run: Path) -> None:
    """A limit of the operating system itself, no injected error."""
    scenario = cf.SCENARIOS[name]
    for limit in (0, 1, 8, 100, 500):
        target = scenario.prepare(run / str(limit))
        assert trial(scenario=name, target=str(target), file_size_limit=limit) == 65
        assert outcome(scenario, target) in {"old", "nothing yet"}
        assert_usable(target)


def test_a_first_save_that_fails_leaves_no_directories(run: Path) -> None:
    calls = cf.count_calls(cf.SCENARIOS["first save with everything"])
    for at in range(len(calls)):
        directory = run / str(at)
        directory.mkdir()
        scenario, target = cf.SCENARIOS["first save with everything"], directory / "a" / "b" / "ep10"
        error = save_with_faults(scenario, target, cf.Faults(at, errno.ENOSPC))
        assert os.listdir(directory) == ([] if error else ["a"])


def test_another_process_in_the_middle_of_a_save_is_left_alone(run: Path) -> None:
    """Stop a writer half way; saves beside it must not remove its stage, and it finishes when it goes on."""
    script = (
        "import os, signal, sys, pathlib; import checkpoint_faults as cf\n"
        "write = os.write\n"
        "def stop(*a):\n"
        "    os.write = write; os.kill(os.getpid(), signal.SIGSTOP); return write(*a)\n"
        "os.write = stop\n"
        "cf.save(pathlib.Path(sys.argv[1]), 2)\n"
    )
    target = run / "ep20"
    with subprocess.Popen([sys.executable, "-c", script, str(target)], cwd=Path(cf.__file__).parent) as writer:
        os.waitpid(writer.pid, os.WUNTRACED)
        cf.save(run / "ep10", 1)
        assert Checkpoint.latest(run) == Checkpoint.open(run / "ep10")
        assert len(os.listdir(run)) == 2
        writer.send_signal(signal.SIGCONT)
    assert writer.returncode == 0
    assert cf.same(cf.load(target), cf.state(2))
    assert sorted(os.listdir(run)) == ["ep10", "ep20"]


@pytest.mark.parametrize("has_exchange", [True, False])
def test_two_writers_and_a_reader(has_exchange: bool, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_exchange:
        monkeypatch.setattr(files, "exchange", lambda first, second: False)
    target = run / "final"
    cf.save(target, 0)
    states = [cf.state(version) for version in range(30)]
    failures: list[CheckpointError] = []

    def write(first: int) -> None:
        for version in range(first, 30, 2):
            try:
                cf.save(target, version)
            except CheckpointError as error:
                failures.append(error)

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    found: Counter[str] = Counter()
    while any(writer.is_alive() for writer in writers):
        try:
            loaded = cf.load(target)
        except CheckpointError:
            found["replaced meanwhile"] += 1
        else:
            assert any(cf.same(loaded, one) for one in states)
            found["whole"] += 1
    for writer in writers:
        writer.join()
    print(f"\nexchange {has_exchange}: reads {dict(found)}, saves that gave way {len(failures)} of 30")
    assert any(cf.same(cf.load(target), one) for one in states)
    if has_exchange:
        assert not failures
    cf.save(target, 9)
    assert os.listdir(run) == ["final"]
