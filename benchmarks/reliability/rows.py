"""The rows of the table: a fault, how many trials it needs at least, when a trial passes, and the jobs that try it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHONS: Final[dict[str, Path]] = {
    "ours": Path(sys.executable),
    "peers": ROOT / ".venv-peers" / "bin" / "python",
}
"""The interpreters, by the environment that a job needs."""
OURS: Final = "velora"


@dataclass(frozen=True)
class JobSpec:
    """A process that tries a part of a row.

    Attributes:
        column: whose trials these are: ours, or a peer's.
        call: the function, as ``module:name``; it gets the job, the subject if there is one, and ``options``.
        subject: as ``module:name, scenario``.
        parts: into how many processes a full run cuts it.
        quick: whether the default tests run a small piece of it.
        python: the environment it needs.
    """

    column: str
    call: str
    subject: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: int = 1
    quick: bool = False
    python: str = "ours"

    @property
    def title(self) -> str:
        """Name it."""
        words = self.subject.partition(":")[2] if self.subject else ", ".join(map(str, self.options.values()))
        return f"{self.call.partition(':')[0].rpartition('.')[2]} {words}".strip()


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    fault: str
    passes: str
    least: int
    jobs: tuple[JobSpec, ...]


HERE: Final = "benchmarks.reliability"
SAVES: Final = (
    *("fresh", "fresh, with buffer", "replacing", "replacing, with buffer", "replacing, without renameat2"),
    "beside an older one",
)
PEERS: Final = (
    ("torch.save", f"{HERE}.plain:torch.save, over the old one", "ours"),
    ("safetensors", f"{HERE}.plain:safetensors, over the old one", "ours"),
    ("stable-baselines3", "benchmarks.peers.checkpoints:stable-baselines3, over the old one", "peers"),
    ("torchrl", "benchmarks.peers.torchrl_checkpoints:torchrl, over the old one", "peers"),
)


def _saves(module: str, *, quick: tuple[str, ...], **options: Any) -> list[JobSpec]:
    """Try every way that an agent is saved by hand."""
    return [
        JobSpec(OURS, f"{HERE}.{module}:run", f"{HERE}.ours:velora, {name}", options, quick=name in quick)
        for name in SAVES
    ]


def _peers(call: str, **options: Any) -> list[JobSpec]:
    """Try the same on the peers."""
    return [JobSpec(name, f"{HERE}.{call}", subject, options, python=python) for name, subject, python in PEERS]


def _ours(module: str, *names: str, quick: tuple[str, ...] = (), parts: int = 1, **options: Any) -> list[JobSpec]:
    """Try a function of ours for each of some names."""
    return [
        JobSpec(OURS, f"{HERE}.{module}", None, {"name": name, **options}, parts=parts, quick=name in quick)
        for name in names
    ]


def _whole(call: str, *, parts: int, **options: Any) -> JobSpec:
    """Try a function on a checkpoint with everything in it."""
    subject = f"{HERE}.ours:velora, a whole checkpoint of a run"
    return JobSpec(OURS, f"{HERE}.{call}", subject, options, parts=parts, quick=True)


RUNS: Final = ("rotating", "rotating, without buffer", "several seeds", "best and evaluations", "on policy")
INTERRUPTED: Final = (
    *("ddpg on Pendulum", "td3 on InvertedPendulum, three seeds", "ppo on Hopper, two environments"),
    "sac on CartPole, recurrent critic",
)
FORGED: Final = ("ddpg", "ppo, two environments", "sac")
FUZZED: Final = {"bytes": 300_000, "header": 300_000, "metadata": 250_000, "state": 150_000}
TROUBLES: Final = ("loggers", "metrics", "two runs", "clocks", "paths")

ROWS: Final = (
    Row(
        "kills",
        "SIGKILL at every write-side call: fresh, replacing, rotating, with buffer, several seeds",
        "the old or the new loads whole, the next save works, a run goes on to the same bits and rows",
        1_500,
        (
            *_saves("kills", quick=("replacing, with buffer",)),
            *_ours("killed_runs:run", *RUNS, quick=("rotating",), parts=2),
            *_peers("kills:run"),
        ),
    ),
    Row(
        "interrupted",
        "SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGUSR1 at random moments of real training, one run killed 50 times",
        "weights, optimizers, buffer and every metric row equal the undisturbed run's",
        500,
        (
            *_ours("interrupted:run", *INTERRUPTED, quick=("ddpg on Pendulum",), parts=2),
            JobSpec(OURS, f"{HERE}.interrupted:run_fifty"),
            JobSpec(OURS, f"{HERE}.interrupted:run_command"),
        ),
    ),
    Row(
        "exact",
        "exact resume: every agent, environment, kernel and number of environments, at random steps",
        "0 differ, or it was said before the first step",
        1_000,
        (
            JobSpec(OURS, f"{HERE}.exact:run", parts=6, quick=True),
            JobSpec(OURS, f"{HERE}.workers:resume"),
            JobSpec("stable-baselines3", "benchmarks.peers.checkpoints:resume", python="peers"),
        ),
    ),
    Row(
        "unreplayable",
        "environments that can't be replayed: own randomness, domain randomisation, statistics, object history",
        "the run goes on, and 0 differ silently",
        200,
        (JobSpec(OURS, f"{HERE}.unreplayable:run", parts=2, quick=True),),
    ),
    Row(
        "power",
        "power cuts, in every state that the disk may be in, metric rows included",
        "the old or the new whole, what was said to be saved is there, rows not behind",
        10_000,
        (
            *_saves("power", quick=("replacing, with buffer",), most=2_000),
            *_ours("power_runs:run", "metric rows", "metric rows of two seeds", quick=("metric rows",), parts=2),
            *_peers("power:run", most=1_000),
        ),
    ),
    Row(
        "failures",
        "ENOSPC, EIO, EROFS, EDQUOT, EACCES, short writes, failing fsync, tiny tmpfs, file size limit",
        "a clear error, the older intact, the next save works; training goes on to the same bits and rows",
        500,
        (
            *_saves("failures", quick=("replacing, with buffer",)),
            *_ours("failing_runs:run", "a run", "a run of two seeds", quick=("a run",), parts=2),
            *_peers("failures:run"),
        ),
    ),
    Row(
        "bits",
        "every bit of every file flipped",
        "0 loaded, the file named",
        160_000,
        (_whole("damage:flip_bits", parts=4), *_peers("damage:flip_bits", most=2_000)),
    ),
    Row(
        "files",
        "truncated, lengthened, zeroed, swapped, linked, doubled files",
        "0 loaded, the file named",
        30_000,
        (_whole("damage:break_files", parts=4), *_peers("damage:break_files", most=2_000)),
    ),
    Row(
        "forged",
        "checkpoints forged under valid digests, by load and by resume",
        "only CheckpointError, in under 1 s and 512 MB, no audit event, no signal",
        2_000,
        tuple(
            JobSpec(OURS, f"{HERE}.forged:run", None, {"name": name, "by": by}, parts=2, quick=name == "ddpg")
            for name in FORGED
            for by in ("load", "resume")
        ),
    ),
    Row(
        "fuzzed",
        "fuzzed input to the readers of a checkpoint",
        "only CheckpointError, in under 1 s",
        1_000_000,
        tuple(
            JobSpec(OURS, f"{HERE}.fuzzed:run", None, {"what": what, "inputs": n}, parts=2, quick=what == "metadata")
            for what, n in FUZZED.items()
        ),
    ),
    Row(
        "nonfinite",
        "NaN and infinity in observation, reward, time, weight, optimizer, of every agent and kernel",
        "stopped, named with its step, never saved as good, older checkpoints go on",
        600,
        (JobSpec(OURS, f"{HERE}.nonfinite:run", parts=3, quick=True),),
    ),
    Row(
        "troubles",
        "dead and hung workers, failing loggers, metrics not to be written, two runs in one directory, clocks, paths",
        "training goes on to the same bits, or a second run is refused in one line",
        300,
        (
            *(JobSpec(OURS, f"{HERE}.troubles:run", None, {"kind": k}, quick=k == "metrics") for k in TROUBLES),
            JobSpec(OURS, f"{HERE}.workers:run", parts=2),
        ),
    ),
)
