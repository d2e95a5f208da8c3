"""Every signal that a cluster, a shell or a person sends, in real processes: what it saves, and how the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import digests
from velora.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has few signals")

RUN = """
import os, signal, sys, time
import gymnasium as gym
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.training.signals import GoingOn
from velora.utils import set_seed

set_seed(3)
directory, at_step, what, *resume = sys.argv[1:]
for name in ("SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)  # whatever the tests were started with
signal.signal(signal.SIGINT, signal.default_int_handler)


def send(*names):
    for name in names:
        os.kill(os.getpid(), getattr(signal, name))


def nothing(*given): ...


class Strike(Callback):
    def __init__(self):
        self.at = int(at_step)

    def on_env_step(self, trainer, agent, transition):
        if trainer.step == self.at:
            self.at = -1
            if what == "limit":
                self.set_limit()
            else:
                time.sleep(0.5)  # what was begun to be saved before is on the disk
                send(*what.split("+"))
        if what == "limit" and self.at == -1:
            self.burn(0.01)

    def set_limit(self):
        import resource
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1, 600))

    def on_save_checkpoint(self, trainer, agent, checkpoint):
        if what == "limit":
            self.burn(2.5)  # the system sends SIGXCPU again in every second of this
        if what == "SIGHUP":
            send("SIGHUP", "SIGUSR1", "SIGUSR2")

    def burn(self, seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass


if what == "ignored":
    what = "SIGUSR1+SIGUSR2+SIGHUP"
    for name in what.split("+"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
handlers, colon, rest = what.partition(":")
what = rest if colon else what


def leave(number, frame):
    print("leaves")
    sys.exit(7)


def bypass(number, frame):
    print("bypassed")


for one in handlers.split(",") if colon else ():
    kind, name = one.split("=")
    signal.signal(getattr(signal, name), {"leave": leave, "bypass": bypass, "go_on": GoingOn(bypass)}[kind])

agent = LiquidDDPG(3, 6, 1, warmup_steps=30, buffer_size=200, sequence_length=2, burn_in=1, device="cpu")
env = gym.make("Pendulum-v1", max_episode_steps=40)
agent.train(env, 8, n_steps=100_000 if what == "limit" and at_step != "-1" else 150, run_dir=directory,
            callbacks=[SaveCheckpoints(f"{directory}/checkpoints", frequency=2), Strike()],
            resume=resume[0] if resume else None, summary=False, progress_bar=False)
print("put back", all(signal.getsignal(one) is signal.SIG_DFL for one in (signal.SIGUSR1, signal.SIGTERM)))
"""
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("SIGHUP", "SIGQUIT", "SIGUSR2", "SIGXCPU")]
"""Signals that end a run as SIGTERM does, by the same lines."""


def run(directory: Path, at_step: int, what: str, *resume: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(directory), str(at_step), what, *map(str, resume)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=quiet)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("whole")
    done = run(directory, -1, "SIGTERM")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "put back True\n"
    return digests(directory / "checkpoints" / "final")


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.slow), *OTHERS])
def test_a_run_is_saved_and_ends_by_the_signal(tmp_path: Path, whole: dict[str, str], name: str) -> None:
    done = run(tmp_path, 77, name)
    assert done.returncode == -getattr(signal, name), done.stderr
    line = f"received {name}: the run is saved after this step, and ends; SIGINT or SIGTERM or SIGQUIT ends it at once"
    assert done.stderr.count(line) == 1
    home = tmp_path / "checkpoints"
    assert Checkpoint.open(home / "interrupted").metadata.progress.step == 77
    assert run(tmp_path, -1, "none", home).returncode == 0
    assert digests(home / "final") == whole


@pytest.mark.slow
def test_sigusr1_saves_and_the_run_goes_on(tmp_path: Path, whole: dict[str, str]) -> None:
    done = run(tmp_path, 77, "SIGUSR1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("received SIGUSR1: the run is saved after this step, and goes on") == 1
    home = tmp_path / "checkpoints"
    assert digests(home / "final") == whole
    assert Checkpoint.open(home / "recent").metadata.progress.step == 77
    assert run(tmp_path / "rest", -1, "SIGTERM", home / "recent").returncode == 0
    assert digests(tmp_path / "rest" / "checkpoints" / "final") == whole


@pytest.mark.slow
def test_a_run_goes_on_from_sigusr1_after_a_kill(tmp_path: Path, whole: dict[str, str]) -> None:
    """As a cluster preempts a run: a warning, and later no mercy."""
    killed = run(tmp_path, 105, "SIGUSR1")
    assert killed.returncode == 0
    for name in ("final", "ep2"):  # what a kill right after the warning leaves
        (tmp_path / "checkpoints" / name).rename(tmp_path / name)
    assert run(tmp_path, -1, "SIGTERM", tmp_path / "checkpoints").returncode == 0
    assert digests(tmp_path / "checkpoints" / "final") == whole


@pytest.mark.slow
def test_a_handler_of_the_programs_own_for_sigusr1_is_called_too(tmp_path: Path) -> None:
    done = run(tmp_path, 77, "bypass=SIGUSR1:SIGUSR1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "bypassed"
    assert (tmp_path / "checkpoints" / "recent").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGUSR1", *OTHERS])
def test_a_handler_that_leaves_does_so_once_the_run_is_saved(tmp_path: Path, whole: dict[str, str], name: str) -> None:
    """As those of job queues do, which put the job into the queue again and end the process, wherever it is."""
    done = run(tmp_path, 77, f"leave={name}:{name}")
    assert (done.returncode, done.stdout) == (7, "leaves\n"), done.stderr
    home = tmp_path / "checkpoints"
    assert Checkpoint.open(home / "interrupted").metadata.progress.step == 77
    assert not (home / "crashed").exists()
    assert run(tmp_path, -1, "none", home).returncode == 0
    assert digests(home / "final") == whole


@pytest.mark.slow
def test_a_run_goes_on_after_a_signal_that_the_program_declares_harmless(tmp_path: Path, whole: dict[str, str]) -> None:
    done = run(tmp_path, 77, "go_on=SIGTERM:SIGTERM")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "bypassed"
    assert digests(tmp_path / "checkpoints" / "final") == whole
    assert Checkpoint.open(tmp_path / "checkpoints" / "recent").metadata.progress.step == 77
    both = run(tmp_path / "both", 77, "go_on=SIGTERM:SIGUSR2+SIGTERM")
    assert (both.returncode, both.stdout) == (-signal.SIGUSR2, "bypassed\n")
    assert "and ends; SIGINT or SIGQUIT ends it at once" in both.stderr


@pytest.mark.slow
def test_a_signal_that_comes_while_the_run_ends_reaches_its_handler(tmp_path: Path) -> None:
    """A cluster may send SIGTERM, which its job queue does nothing about, and then the signal that it waits for."""
    done = run(tmp_path, 77, "bypass=SIGTERM,leave=SIGUSR2:SIGTERM+SIGUSR2+SIGUSR2")
    assert (done.returncode, done.stdout) == (7, "bypassed\nleaves\n"), done.stderr


@pytest.mark.slow
def test_what_was_ignored_stays_so(tmp_path: Path, whole: dict[str, str]) -> None:
    done = run(tmp_path, 77, "ignored")
    assert (done.returncode, done.stderr) == (0, "")
    assert digests(tmp_path / "checkpoints" / "final") == whole
    assert not (tmp_path / "checkpoints" / "recent").exists()


@pytest.mark.slow
def test_signals_that_come_more_than_once_do_not_end_the_save(tmp_path: Path) -> None:
    """A closed terminal sends SIGHUP through the shell and by itself; a cluster warns, and then it ends a run."""
    done = run(tmp_path, 77, "SIGHUP")
    assert done.returncode == -signal.SIGHUP, done.stderr
    assert Checkpoint.open(tmp_path / "checkpoints" / "interrupted").metadata.progress.step == 77


@pytest.mark.slow
def test_a_limit_on_processor_time_leaves_a_whole_run(tmp_path: Path) -> None:
    done = run(tmp_path, 10, "limit")
    assert done.returncode == -signal.SIGXCPU, done.stderr
    assert "received SIGXCPU: the run is saved" in done.stderr
    assert Checkpoint.open(tmp_path / "checkpoints" / "interrupted").metadata.progress.step > 10


@pytest.mark.parametrize(
    "second", ["SIGINT", *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGTERM", "SIGQUIT"))]
)
@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path: Path, second: str) -> None:
    done = run(tmp_path, 100, f"SIGUSR2+{second}")
    assert done.returncode == -getattr(signal, second), done.stderr
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("[a-z]*/")) == ["ep2"]
    told = "nothing is saved of the end of the run: it was told to end at once"
    assert (told in done.stderr) is (second == "SIGINT")
    assert run(tmp_path, -1, "SIGTERM", tmp_path / "checkpoints").returncode == 0


KILLED = """
import os, sys, time
import gymnasium as gym
from velora.callbacks import Callback, SaveCheckpoints
from velora.models import LiquidDDPG
from velora.utils import set_seed

set_seed(3)
directory, at_step, *resume = sys.argv[1:]


class Strike(Callback):
    def on_step_end(self, trainer, agent):
        if trainer.step == int(at_step) - 9:
            time.sleep(0.5)  # what was begun to be saved before is on the disk
        if trainer.step == int(at_step):
            os.kill(os.getpid(), 9)


agent = LiquidDDPG(3, 6, 1, warmup_steps=30, buffer_size=200, device="cpu")
agent.train(gym.make("Pendulum-v1", max_episode_steps=-1), 8, n_steps=900, run_dir=directory,
            callbacks=[SaveCheckpoints(f"{directory}/checkpoints", steps=250, keep_last=2), Strike()],
            resume=resume[0] if resume else None, summary=False, progress_bar=False)
"""


@pytest.mark.slow
def test_an_endless_task_that_is_killed_has_not_lost_everything(tmp_path: Path) -> None:
    def go(name: str, at_step: int, *resume: Path) -> int:
        command = [sys.executable, "-c", KILLED, str(tmp_path / name), str(at_step), *map(str, resume)]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False).returncode

    assert go("whole", -1) == 0
    assert go("cut", 800) == -signal.SIGKILL
    home = tmp_path / "cut" / "checkpoints"
    assert sorted(path.name for path in home.glob("[a-z]*/")) == ["step500", "step750"]
    assert go("cut", -1, home) == 0
    assert digests(home / "final") == digests(tmp_path / "whole" / "checkpoints" / "final")
