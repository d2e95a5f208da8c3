"""Environments in workers: the same bits, exact resume, and one line where a worker dies, hangs or raises."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.shared import QUIET
from tests.unit.envs.odd_environments import Makes, Odd
from velora import kernels
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import SettingError, SpaceError, WorkerError
from velora.envs.workers import Workers
from velora.metrics import queries
from velora.models import LiquidDDPG, LiquidPPO

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux lists them")
KERNEL = "native" if kernels.extension else "numpy"


def ddpg(*seeds: int) -> LiquidDDPG:
    small: dict[str, Any] = {"warmup_steps": 10, "buffer_size": 100, "critic_units": (8, 8), "device": "cpu"}
    return LiquidDDPG(3, 4, 1, seeds=seeds, kernel=KERNEL, **small)


def ppo(*seeds: int) -> LiquidPPO:
    small: dict[str, Any] = {
        "rollout_steps": 8,
        "sequence_length": 4,
        "n_epochs": 2,
        "critic_units": (8, 8),
        "n_envs": 3,
    }
    return LiquidPPO(4, 6, 2, discrete=True, device="cpu", seeds=seeds, kernel=KERNEL, **small)


def digests(home: Path) -> dict[str, str]:
    return {name: info.sha256 for name, info in Checkpoint.open(home).metadata.files.items() if "train" not in name}


def children() -> set[int]:
    """List the processes that this one has begun. Its threads come and go: each process is asked for its parent."""
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == os.getpid()}


def parent_of(pid: int) -> int | None:
    try:
        after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(after_the_name[1])


class StopAt(Callback):
    def __init__(self, step: int | None) -> None:
        self.step = step

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step == self.step:
            trainer.stop("enough")


@pytest.mark.parametrize(
    ("make", "env", "seeds", "cut"),
    [pytest.param(ddpg, "Pendulum-v1", (4, 9, 5), 230, marks=pytest.mark.slow), (ppo, "CartPole-v1", (4, 9), 63)],
)
def test_workers_change_no_bit_and_a_resume_is_exact(
    make: Any, env: str, seeds: tuple[int, ...], cut: int, tmp_path: Path
) -> None:
    results = {}
    for workers in (0, 2):
        home, callbacks = tmp_path / str(workers), lambda at, home=None: [StopAt(at), SaveCheckpoints(home)]
        own: dict[str, Any] = {"n_steps": 400, "evaluate_every": 2, "evaluation_episodes": 3, "run_dir": home, **QUIET}
        if workers:
            make(*seeds).train(env, 8, workers=workers, callbacks=callbacks(cut, home / "c"), **own)
            own["resume"] = home / "c"
        result = make(*seeds).train(env, 8, workers=workers, callbacks=callbacks(None, home / "c"), **own)
        rows = [(r.seed, r.episode, r.reward, r.length, r.step) for r in queries.episodes(home)]
        results[workers] = rows, [digests(home / "c" / f"seed{seed}" / "final") for seed in seeds]
        assert result.status == "finished"
    assert results[0] == results[2]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("dies", r"^environment [01]: worker [01] \(process \d+\) didn't step: it ended with signal SIGKILL; "),
        pytest.param(
            "exits",
            r"^environment [01]: worker [01] \(process \d+\) didn't step: it ended with exit code 3; ",
            marks=pytest.mark.slow,
        ),
        (
            "hangs",
            r"^environment [01]: worker [01] \(process \d+\) didn't step within 2 s: it gave no answer, and was killed",
        ),
    ],
)
@pytest.mark.some(1)
def test_a_worker_that_ends_or_hangs_is_named_and_the_others_are_closed(what: str, said: str, tmp_path: Path) -> None:
    before, begun = children(), time.monotonic()
    mark = tmp_path / "mark"
    saving = SaveCheckpoints(tmp_path / "c", frequency=1)
    with pytest.raises(WorkerError, match=said) as caught:
        ddpg(4, 9, 5).train(
            Makes(what, 35, str(mark)), 4, n_episodes=4, workers=2, worker_timeout_s=2.0, callbacks=[saving], **QUIET
        )
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 40.0
    assert children() == before
    assert Checkpoint.latest(tmp_path / "c" / "seed4") is not None


@pytest.mark.slow
def test_what_no_worker_can_import_stands_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of a module that this process alone can find are registered, as after its directory was left."""
    (tmp_path / "left_behind.py").write_text(
        "import gymnasium as gym\n"
        "class Lost(gym.Wrapper):\n"
        "    def __init__(self):\n"
        "        super().__init__(gym.make('Pendulum-v1'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    lost = importlib.import_module("left_behind").Lost
    monkeypatch.undo()
    gym.register("Lost-v0", entry_point=lost)
    try:
        ddpg(1).train("Pendulum-v1", 4, n_steps=20, workers=1, run_dir=tmp_path / "run", **QUIET)
        with pytest.raises(Exception, match="left_behind") as told:
            ddpg(1).train("Lost-v0", 4, n_steps=20, workers=1, run_dir=tmp_path / "lost", **QUIET)
        assert "Lost-v0 can't be registered in a worker: ModuleNotFoundError" in "".join(
            getattr(told.value, "__notes__", [str(told.value)])
        )
    finally:
        del gym.registry["Lost-v0"]


def test_an_error_of_an_environment_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError, match=r"^the joint has no angle") as caught:
        ddpg(4).train(Makes("raises", 35), 4, n_episodes=4, workers=1, **QUIET)
    assert caught.value.args == ("the joint has no angle",)
    (note,) = caught.value.__notes__
    assert note.startswith("environment 0, in worker 0:\nTraceback")
    assert note.rstrip().endswith("ZeroDivisionError: the joint has no angle")


@pytest.mark.slow
def test_workers_close_what_they_hold_and_are_killed_if_that_hangs(tmp_path: Path) -> None:
    mark, before = tmp_path / "mark", children()
    workers = Workers(2, timeout_s=60.0)
    first, second = workers.make(Makes("nothing", mark=str(mark))), workers.make(Makes("cannot be packed", 1))
    seen = first.reset(seed=3)[0]
    np.testing.assert_array_equal(seen, Odd().reset(seed=3)[0])
    assert first.observation_space.shape == (3,)
    assert first.get_wrapper_attr("dt") == 0.05
    second.reset(seed=3)
    with pytest.raises(RuntimeError, match=r"CannotBePackedError: hip is at 3\.0$"):
        second.step(np.zeros(1, np.float32))
    second.begin(np.zeros(1, np.float32))  # which nobody waits for
    np.testing.assert_array_equal(second.reset(seed=3)[0], seen)
    first.begin(np.ones(1, np.float32))
    second.begin(np.ones(1, np.float32))
    both = second.step(np.ones(1, np.float32)), first.step(np.ones(1, np.float32))
    np.testing.assert_array_equal(both[0][0], both[1][0])
    assert both[0][4] == {}
    third = workers.make(Makes("hangs at close"))
    third.reset(seed=0)
    begun = time.monotonic()
    workers.close()
    assert time.monotonic() - begun < 12.0
    assert children() == before
    assert mark.read_text() in ("closed\n", "")  # beside the one that hangs
    with pytest.raises(WorkerError, match="environment 0: worker 0 was closed; it can't reset any more"):
        first.reset(seed=0)
    first.close()


@pytest.mark.slow
def test_environments_step_at_the_same_time() -> None:
    from tests.unit.envs.odd_environments import Slow

    workers = Workers(2, timeout_s=60.0)
    try:
        envs = [workers.make(lambda: Slow(0.3)) for _ in range(2)]
        for env in envs:
            env.reset(seed=0)
        begun = time.monotonic()
        for env in envs:
            env.begin(np.zeros(1, np.float32))
        for env in envs:
            env.step(np.zeros(1, np.float32))
        assert 0.3 <= time.monotonic() - begun < 0.6
    finally:
        workers.close()


def test_what_cannot_be_sent_is_told_before_anything_is_written(tmp_path: Path) -> None:
    lock = threading.Lock()

    def make() -> gym.Env[Any, Any]:
        assert not lock.locked()
        return gym.make("Pendulum-v1")

    with pytest.raises(SettingError, match=r"workers: the environment can't be sent to another process .*pickle"):
        ddpg(4).train(make, 4, workers=1, run_dir=tmp_path / "run", **QUIET)
    with pytest.raises(SpaceError, match="env: this environment can't be made again"):
        ddpg(4).train(Odd(), 4, workers=1, run_dir=tmp_path / "run", **QUIET)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wrong", [{"workers": -1}, {"workers": 1.5}, {"worker_timeout_s": 0}, {"worker_timeout_s": True}]
)
def test_wrong_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"^{next(iter(wrong))}: expected"):
        ddpg(4).train("Pendulum-v1", 4, **wrong, **QUIET)


@pytest.mark.slow
def test_a_script_needs_no_guard_and_its_own_environments_are_known(tmp_path: Path) -> None:
    """Its workers end with it, however it ends."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """\
            import os, signal, sys
            import gymnasium as gym
            from velora.callbacks import Callback
            from velora.models import LiquidDDPG

            class Own(gym.Wrapper):
                def __init__(self):
                    super().__init__(gym.make("Pendulum-v1"))

            class Kill(Callback):
                def on_env_step(self, trainer, agent, transition):
                    if trainer.step == 30:
                        os.kill(os.getpid(), signal.SIGKILL)

            gym.register("Own-v0", entry_point=Own, max_episode_steps=20)
            quiet = {"progress_bar": False, "summary": False, "workers": 2}
            agent = LiquidDDPG(3, 4, 1, seeds=[1, 2], device="cpu", warmup_steps=5, buffer_size=50)
            print(sum(map(len, agent.train("Own-v0", 4, n_episodes=2, **quiet).returns)), flush=True)
            agent.train(lambda: gym.make("Own-v0"), 4, n_episodes=2, callbacks=[Kill()], **quiet)
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (-9, "4\n"), done.stderr
    deadline = time.monotonic() + 20.0
    while (left := _workers_of(script.parent)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def _workers_of(directory: Path) -> list[str]:
    """List the processes of workers that were begun from a script in a directory, which is on their path."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if "worker_process" in line and str(directory) in line]
