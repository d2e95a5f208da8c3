"""Settings of what a run happens in: the environment, the device, and where checkpoints go."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Any

from velora.cli.settings import wrappers
from velora.cli.settings.fields import arguments, taken, told
from velora.models.keywords import CheckpointKeywords, DDPGKeywords, RunKeywords, TrainKeywords

ID = "of Gymnasium; ``my_module:MyEnv-v0`` imports the module that registers it first"


@dataclass
class RecommendedSchema:
    """Defaults of ``train``, ``checkpoint`` and ``agent`` that an environment's file may set."""

    n_episodes: int = told(100, "episodes of a run")
    n_steps: int | None = told(None, "environment steps of a run; ``None`` sets no limit")
    checkpoint_frequency: int = told(50, "episodes between two checkpoints")
    actor_lr: float = taken(DDPGKeywords, "actor_lr")
    noise_std: float = taken(DDPGKeywords, "noise_std")
    noise_correlation: float = taken(DDPGKeywords, "noise_correlation")


@dataclass
class BareEnvSchema:
    """An environment without wrappers, and how long to train on it."""

    id: str = told(..., ID)
    kwargs: dict[str, Any] = field(default_factory=dict)
    workers: int = taken(TrainKeywords, "workers")
    worker_timeout_s: float = taken(TrainKeywords, "worker_timeout_s")
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)


@dataclass
class EnvSchema(wrappers.extended(BareEnvSchema)):  # type: ignore[misc]
    """An environment with its wrappers, and how long to train on it."""


@dataclass
class DeviceSchema:
    """The device, the number of threads, and the kernel."""

    name: str = told(..., "``auto`` is the first GPU if there is one, else the CPU; or ``cpu``, ``cuda``, ``cuda:1``")
    threads: int | None = taken(TrainKeywords, "threads")
    kernel: str = taken(RunKeywords, "kernel")


@dataclass
class CheckpointSchema(make_dataclass("Saving", arguments(CheckpointKeywords))):  # type: ignore[misc]
    """Settings of :class:`velora.callbacks.SaveCheckpoints`."""
