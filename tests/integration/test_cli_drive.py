"""``velora drive``: by an agent and by its policy in C, with a recording, learning, and what can't be driven."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Command
from velora.drive import read_recording
from velora.models import LiquidTD3

PENDULUM = "zoo:pendulum"
PATIENT = ("misses=100000", "silent_s=20")
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")


def report(out: str) -> Any:
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_a_world_that_goes_faster_is_driven_and_recorded(command: Command, tmp_path: Path) -> None:
    words = ("rate=100", "steps=150", "step_s=0.01", "record=drive.npy", *PATIENT)
    code, out, err = command("drive", PENDULUM, *words)
    assert (code, err) == (0, "")
    found, rows = report(out), read_recording("drive.npy")
    assert (found["ended"], found["ticks"], found["control_step_s"]) == ("finished", 150, 0.01)
    assert len(rows) == 150 - found["skipped"]
    assert found["misses"] == found["late"] + found["skipped"]
    assert found["acted"] + found["missing_readings"] == len(rows)
    assert "a control step is 10 ms, so a regular tick is dt = 1" in out
    assert "how late ticks began:" in out
    assert [path.name for path in tmp_path.iterdir()] == ["drive.npy"]


@pytest.mark.slow
@needs_compiler
def test_policy_and_loop_in_c(command: Command) -> None:
    code, out, err = command("drive", PENDULUM, "rate=200", "steps=200", "loop=c", "step_s=0.01", *PATIENT)
    assert (code, err) == (0, "")
    assert report(out)["ticks"] == 200
    assert "policy in C; loop in C" in out
    code, out, err = command("drive", PENDULUM, "rate=50", "steps=20", "policy=c", *PATIENT)
    assert (code, err) == (0, "")
    assert "policy in C; loop in Python" in out


def test_what_was_learned_while_driving_is_an_agent(command: Command) -> None:
    env = "Pendulum-v1"
    import gymnasium as gym

    agent = LiquidTD3(3, 8, 1, warmup_steps=20, seed=1)
    agent.adapt(gym.make(env))
    agent.save("begun")
    words = ("rate=100", "steps=120", "step_s=0.01", "learn=true", "batch_size=16", "save=learned", *PATIENT)
    code, out, err = command("drive", "begun", *words)
    assert (code, err) == (0, "")
    assert "learning    is saved at the end, in learned\n" in out
    found = report(out)
    assert found["updates"] > 0
    again = LiquidTD3.load("learned")
    assert again.progress[0].update == found["updates"]


class_in_module = """
import numpy as np, time
from velora.drive import Reading

class Rig:
    step_s = 0.02
    def __init__(self):
        self.n = 0
    def read(self):
        self.n += 1
        return Reading(np.zeros(3, np.float32), self.n * 20_000_000) if self.n < 30 else None
    def write(self, action):
        pass
    def close(self):
        open("closed", "w").close()

class Half:
    def read(self):
        pass
"""


def test_a_plant_of_ones_own_that_falls_silent(command: Command, tmp_path: Path) -> None:
    (tmp_path / "rig.py").write_text(class_in_module)
    code, out, err = command("drive", PENDULUM, "plant=rig:Rig", "rate=100", "misses=100000", "silent_s=0.2")
    assert code == 2
    assert err.startswith("velora drive: the plant gave no reading for 0.2 s")
    assert (report(out)["acted"], report(out)["watchdog"], report(out)["control_step_s"]) == (29, 1, 0.02)
    assert (tmp_path / "closed").exists()
    code, _, err = command("drive", PENDULUM, "steps=20", "plant=rig:Half", "rate=100")
    assert (code, err) == (
        2, "velora drive: plant: rig:Half gave a Half; expected an object with the methods read, write and close\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "rate: needs a value; give it as rate=..."),
        ("rate=0", "rate: expected from 0.001 to 100000 ticks a second, got 0"),
        ("rate=nan", "rate: expected from 0.001 to 100000 ticks a second, got nan"),
        ("rate=50 step_s=nan", "step_s: expected from 1e-06 to 1e+06 seconds, got nan"),
        ("rate=100000", "rate: this machine can't hold 100000 ticks a second; one tick's work takes"),
        ("rate=50 plant=robot", "plant: expected simulated, tcp://host:port, my_module:MyPlant or my_plant.c"),
        ("rate=50 plant=robot:Arm", "plant: there is no module 'robot'"),
        ("rate=50 plant=tcp://here", "plant: expected tcp://host:port, such as tcp://127.0.0.1:7000, got 'tcp://here'"),
        ("rate=50 plant=tcp://127.0.0.1:1", "plant: nobody answers at tcp://127.0.0.1:1"),
        ("rate=50 plant=arm.c", "plant: one in C needs the loop in C: add loop=c"),
        ("rate=50 loop=rust", "loop: expected python or c, got 'rust'"),
        ("rate=50 policy=nowhere", "policy: expected python, c, or a directory of velora export to=c, got 'nowhere'"),
        ("rate=50 learn=true policy=c", "learn: a policy in C can't learn; leave out policy and loop"),
        ("rate=50 save=x", "save: nothing is learned without learn=true"),
        ("rate=50 record=x.txt", "record: expected a file that ends with one of .npy, .csv, .parquet"),
        ("rate=50 safe=[3.0]", "safe: expected 1 number from [-2.0] to [2.0], got [3.0]"),
        ("rate=50 env=cartpole", "plant: CartPole-v1 has readings of 4 numbers, and the policy takes 3"),
        ("rate=50 priority=1000", "priority: expected from 1 to 99, or 0 for none, got 1000"),
        ("rate=50 physics=0", "physics: expected at least 1 step in a control step, got 0"),
        ("rate=50 steps=0", "steps: expected at least 1, got 0"),
        ("rat=50", "rat: no such setting"),
    ],
)
@pytest.mark.some(7)
def test_what_can_not_be_driven_is_one_line(command: Command, tmp_path: Path, words: str, complaint: str) -> None:
    code, _, err = command("drive", PENDULUM, "steps=20", *shlex.split(words))
    assert code == 2
    assert err.startswith(f"velora drive: {complaint}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_taken_is_told_before_anything_is_driven(command: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    for name in ("taken/notes.txt", "drive.csv.journal"):
        (tmp_path / name).write_text("mine")
    for words, complaint in (
        (("learn=true", "save=taken"), "taken: expected a checkpoint or an empty directory, found 'notes.txt' in it"),
        (("record=drive.csv",), "drive.csv.journal is there, of a drive that was killed, or still goes on"),
    ):
        code, out, err = command("drive", PENDULUM, "rate=50", "steps=5", *words, *PATIENT)
        assert (code, err.count("\n"), out) == (2, 1, "")
        assert complaint in err
    assert {path.read_text() for path in (tmp_path / "taken/notes.txt", tmp_path / "drive.csv.journal")} == {"mine"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_ends_in_order(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "velora", "drive", PENDULUM, "rate=100", "record=drive.csv", *PATIENT]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal, until = tmp_path / "drive.csv.journal", time.monotonic() + 240
    while time.monotonic() < until and not (journal.exists() and journal.stat().st_size > 3_000):
        time.sleep(0.05)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    found = report(out)
    assert found["ended"] == "stopped"
    assert len((tmp_path / "drive.csv").read_text().splitlines()) == 1 + found["ticks"] - found["skipped"]
    assert not journal.exists()
