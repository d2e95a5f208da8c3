"""Protocols by which the layers below training know the trainer and an agent, not their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from velora.core.types import Counters, Evaluation, Filmed, WindowStats

if TYPE_CHECKING:
    import torch


class AgentView(Protocol):
    """Agent as a callback sees it."""

    @property
    def key(self) -> str:
        """Short registry key, such as ``"liquid_ddpg"``."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]:
        """The run seed of every position on the seed axis."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        ...

    kernel: str
    """What computes: ``"native"`` (C, on the CPU), ``"numpy"`` or ``"torch"``."""
    threads: int
    """Threads of the native kernel, over seeds."""

    def check_tunable(self, name: str, values: Sequence[float]) -> None:
        """Check that a setting may change to these values while the agent trains."""
        ...

    def tune(self, name: str, value: float, *, seed_index: int = 0) -> None:
        """Change a setting of one seed for the rest of this training."""
        ...

    def current_learning_rates(self, seed_index: int = 0) -> Mapping[str, float]:
        """Return the learning rate of every network."""
        ...

    def keep_gradient_norms(self) -> None:
        """Have the norms of gradients kept for the rest of this training."""
        ...

    def gradient_norms(self, seed_index: int = 0) -> Mapping[str, float]:
        """Return the norm of every network's newest gradient, before clipping, where they are kept."""
        ...

    def summary(self) -> Mapping[str, Any]:
        """Describe the agent: class, settings, wiring, parameters (active and total) of each network."""
        ...


class Progress(Protocol):
    """Where one seed of a run stands."""

    seed_index: int
    done: bool
    is_lost: bool
    """A number that isn't finite stopped it: it is as it was before, and nothing of it is worth saving any more."""
    lineage: tuple[tuple[int, int], ...]
    """Branches of the run that led here; see :mod:`velora.checkpoint.lineage`."""
    parted_at: int | None
    """Step of the agent's life up to which the metrics' rows are of this branch; ``None`` if all are."""
    newest_of: Path | None
    """Directory whose newest checkpoint the run goes on from; ``None`` if it began anew, or a checkpoint was named."""

    @property
    def lived(self) -> Counters:
        """Life of the agent with this seed, over all its runs; the steps that checkpoints count."""
        ...

    @property
    def episode(self) -> int:
        """Episodes finished."""
        ...

    @property
    def step(self) -> int:
        """Environment steps taken, in all environments of the seed together."""
        ...

    @property
    def update(self) -> int:
        """Gradient updates made."""
        ...

    @property
    def last_return(self) -> float | None:
        """The return of the newest finished episode."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether an episode has begun since the last one ended."""
        ...

    @property
    def window(self) -> WindowStats:
        """Statistics of the last ``window_size`` returns."""
        ...

    evaluation: Evaluation | None
    """The newest evaluation of this process."""


class TrainerView(Protocol):
    """Trainer as a callback sees it. Everything here is safe to call from any hook."""

    n_episodes: int
    n_steps: int | None
    batch_size: int
    window_size: int
    run_dir: Path | None
    run_id: str
    environment: str
    should_stop: bool
    stop_reason: str | None
    status: str
    """``running``, then ``finished``, ``stopped`` (by a callback), ``interrupted`` (by a signal) or ``crashed``."""
    save_requests: int
    """How often a signal asked that the run is saved and goes on; ``SaveCheckpoints`` answers."""
    evaluate_every: int | None

    @property
    def is_evaluated(self) -> bool:
        """Whether rounds of evaluation come by themselves."""
        ...

    @property
    def last_evaluation(self) -> Evaluation | None:
        """The newest evaluation of this process."""
        ...

    @property
    def progress(self) -> Sequence[Progress]:
        """One entry per seed."""
        ...

    @property
    def episode(self) -> int:
        """Episodes finished by the slowest seed that still trains (with one seed: finished episodes)."""
        ...

    @property
    def step(self) -> int:
        """Environment steps taken per seed."""
        ...

    @property
    def update(self) -> int:
        """Gradient updates made."""
        ...

    @property
    def window(self) -> WindowStats:
        """The window of the first seed; with several seeds read ``progress[k].window``."""
        ...

    def losses(self, seed_index: int | None = None) -> dict[str, float]:
        """Read the metrics of the newest update, of one seed or averaged (this copies from the device)."""
        ...

    def stop(self, reason: str, *, seed_index: int | None = None) -> None:
        """Stop after the current step: the whole run, or one seed of it."""
        ...

    def save(
        self,
        directory: str | Path,
        *,
        buffer: bool = True,
        config: bool = False,
        seed_index: int = 0,
        wait: bool = True,
        failed: Callable[[OSError], object] | None = None,
    ) -> Path:
        """Write a checkpoint and return its path; in the middle of a step it is written at the end of that.

        One with its buffer can be resumed from. With ``wait=False`` it is written while training goes on, and
        ``failed`` is told if the system refuses it.
        """
        ...

    def evaluate(self, seed_indices: Sequence[int] | None = None) -> list[Evaluation]:
        """Evaluate every seed now, or these, and record it."""
        ...

    def log(self, metrics: Mapping[str, float], *, seed_index: int = 0) -> None:
        """Record numbers in the metrics and send them to the loggers, at the current step of the seed."""
        ...

    def log_figure(self, figure: Any, step: int | None = None, *, name: str = "figure", seed_index: int = 0) -> None:
        """Send a figure of Matplotlib's, or the path of an image, to the loggers that can show or keep one."""
        ...

    def log_video(self, path: str | Path, step: int | None = None, *, name: str = "video", seed_index: int = 0) -> None:
        """Send a video file to the loggers that can show or keep one."""
        ...

    def film(
        self,
        path: str | Path,
        *,
        episodes: int = 1,
        seed: int | None = None,
        every: int = 1,
        max_steps: int = 100_000,
        seed_index: int = 0,
    ) -> Filmed | None:
        """Play now in an environment of its own and write a video of it; ``None`` if a signal came in between."""
        ...

    def choose_evaluation(self, *, episodes: int | None = None, seed: int | None = None) -> None:
        """Choose the episodes of all evaluations of this run."""
        ...

    def check_environment_attributes(self, names: Sequence[str]) -> None:
        """Check that the environment has numbers of these names, which training is going to change."""
        ...

    def change_environment(self, parameters: Mapping[str, float], *, seed_index: int = 0) -> None:
        """Set numbers among the attributes of a seed's environments, from their next episode on."""
        ...
