"""Read forged checkpoints by load and by resume, and count what becomes of them."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym

import velora
from tests.reliability import checkpoint_faults as cf
from tests.reliability.forged import mutants
from velora.callbacks import Callback, EarlyStopping, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, NonFiniteError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.utils import set_seed

MOST_S, MOST_MIB = 1.0, 512
_SMALL: dict[str, Any] = {"warmup_steps": 8, "buffer_size": 40, "critic_units": (8, 8)}
_ROLLOUT: dict[str, Any] = {"rollout_steps": 8, "sequence_length": 4, "n_epochs": 1, "n_envs": 2}

RUNS: dict[str, tuple[str, Callable[[], Agent]]] = {
    "ddpg": ("Pendulum-v1", lambda: LiquidDDPG(3, 5, 1, seed=1, device="cpu", **_SMALL)),
    "td3": ("Pendulum-v1", lambda: LiquidTD3(3, 5, 1, seed=1, device="cpu", normalize_obs=True, cell="ltc", **_SMALL)),
    "sac": (
        "CartPole-v1",
        lambda: LiquidSAC(4, 5, 2, seed=1, device="cpu", discrete=True, optimizer="rmsprop", **_SMALL),
    ),
    "ppo": (
        "CartPole-v1",
        lambda: LiquidPPO(
            4, 5, 2, seed=1, device="cpu", discrete=True, critic="recurrent", critic_units=(8, 8),
            normalize_returns=True, **_ROLLOUT,
        ),
    ),
}  # fmt: skip
"""Environment and agent of the runs that are forged."""

FORBIDDEN = (
    *("import", "exec", "compile", "pickle", "marshal", "code.", "os.system", "os.exec", "os.posix_spawn", "os.fork"),
    *("subprocess", "ctypes", "socket", "webbrowser", "mmap", "cpython.run"),
)
_events: Counter[str] = Counter()
_watched: list[bool] = []


class Keep(Callback):
    """Keep all kinds of state, and check none of it."""

    def state_dict(self) -> dict[str, Any]:
        return {"numbers": [1, 2.5, float("inf")], "nested": {"pair": (1, None), "flag": True}, "text": "abc"}

    def load_state_dict(self, state: Any) -> None:
        assert state["nested"]["pair"][0] == 1

    def on_save_checkpoint(self, trainer: Any, agent: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = [1, 2]

    def on_load_checkpoint(self, trainer: Any, agent: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"].append(3)


def train(kind: str, home: Path, n_steps: int, resume: Path | None = None) -> None:
    """Train the agent of one kind, up to so many steps."""
    env, make = RUNS[kind]
    set_seed(3)
    callbacks = [SaveCheckpoints(home, frequency=None), EarlyStopping(patience=10**6), Keep()]
    made = gym.make(env, max_episode_steps=9)
    make().train(made, 4, n_episodes=10**6, n_steps=n_steps, window_size=2, callbacks=callbacks, resume=resume,
                 evaluate_every=2, evaluation_episodes=1, progress_bar=False, summary=False)  # fmt: skip


def make_honest(kind: str, home: Path) -> Path:
    """Write a checkpoint in the middle of an episode, with all that a run has."""
    train(kind, home, 33 if kind != "ppo" else 44)
    return home / "final"


def by_load(kind: str, checkpoint: Path, home: Path) -> None:
    """Load the agent with its buffer."""
    velora.load(checkpoint, buffer=True, device="cpu")


def by_resume(kind: str, checkpoint: Path, home: Path) -> None:
    """Go on with the run for a few steps, of which some learn."""
    train(kind, home, Checkpoint.open(checkpoint).metadata.progress.step + 6, checkpoint)


READERS = {"load": by_load, "resume": by_resume}


def _watch(event: str, args: tuple[Any, ...]) -> None:
    is_traceback = event == "compile" and args[1:] == ("<unknown>",)  # a line of ours that is shown in one
    if _watched and event.startswith(FORBIDDEN) and not is_traceback:
        _events[f"{event} {args!r:.80}"] += 1


def _peak_mib(*, restart: bool = False) -> float:
    if restart:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:" if restart else "VmHWM:")[1].split()[0]) / 1024


def outcome(kind: str, way: str, liar: Path, home: Path) -> str:
    """Read one, and say in a word what became of it: ``refused`` and ``accepted`` are right, all else is wrong.

    Seconds are the process's own: others may be using the machine.
    """
    _events.clear()
    before, began = _peak_mib(restart=True), time.process_time()
    _watched.append(True)
    try:
        READERS[way](kind, liar, home)
        told = "accepted"
    except CheckpointError as error:
        text = str(error)
        is_told = str(liar) in text and "\n" not in text and len(text) < 1_000
        told = "refused" if is_told else f"unclear: {text}"
        if way == "resume" and text.endswith("found NaN or infinity; nothing was saved"):
            told = "accepted"  # numbers were finite, and too large to learn from
    except NonFiniteError as error:
        told = "accepted" if way == "resume" else f"raw {error!r}"  # weights may be finite and too large
    except Exception as error:  # noqa: BLE001 - any is a finding
        told = f"raw {type(error).__name__}: {error}"
    finally:
        _watched.clear()
    seconds, more = time.process_time() - began, _peak_mib() - before
    if seconds > MOST_S:
        told = f"slow: {seconds:.1f} s, {told}"
    if more > MOST_MIB:
        told = f"large: {more:.0f} MiB, {told}"
    return f"events: {dict(_events)}" if _events else told


def read(kind: str, way: str, n: int, *, seed: int, begin: int = 0) -> tuple[Counter[str], list[str]]:
    """Read n mutants of one kind; return the counts, and a line for each that isn't right."""
    place = cf.fast_directory()
    try:
        honest = make_honest(kind, place / "honest")
        READERS[way](kind, honest, place / "warm")
        READERS[way](kind, honest, place / "warmer")
        counts: Counter[str] = Counter()
        wrong: list[str] = []
        for number, (name, lie) in enumerate(itertools.islice(mutants(honest, seed), begin, begin + n), begin):
            liar = place / "liar"
            shutil.copytree(honest, liar)
            try:
                lie(liar)
            except (TypeError, ValueError, OverflowError):
                counts["not written"] += 1
            else:
                sys.stderr.write(f"\r{kind} {way} {number} ") if sys.stderr.isatty() else None
                told = outcome(kind, way, liar, place / "home")
                counts[told.partition(":")[0].partition(" ")[0]] += 1
                if told not in ("refused", "accepted"):
                    wrong.append(f"{kind} by {way} {name}: {told}"[:500])
            for path in (liar, place / "home"):
                shutil.rmtree(path, ignore_errors=True)
    finally:
        shutil.rmtree(place)
    return counts, wrong


def main(words: Sequence[str]) -> int:
    """Read so many mutants of each kind in each way, from a seed, and print the counts as JSON."""
    n, seed = int(words[0]), int(words[1]) if len(words) > 1 else 0
    sys.addaudithook(_watch)
    failed = False
    for kind, way in itertools.product(words[2:] or RUNS, READERS):
        counts, wrong = read(kind, way, n, seed=seed)
        print(json.dumps({"kind": kind, "way": way, **counts}))
        print(*wrong, sep="\n", end="\n" if wrong else "")
        sys.stdout.flush()
        failed = failed or bool(wrong)
    return int(failed)
