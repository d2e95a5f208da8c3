"""Find the checkpoint that each seed of a run goes on from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from velora.checkpoint import Checkpoint, MissingCheckpointError
from velora.checkpoint.layout import find_home, listed, seed_directories, seed_directory
from velora.core.errors import CheckpointError

log = logging.getLogger(__name__)


def find(directory: Path, seeds: Sequence[int]) -> list[Checkpoint | None]:
    """Find a checkpoint for every seed: that at a path, or the newest one in the directory of each seed.

    After a kill the seeds of a run may stand at different steps. One that had not come to its first checkpoint yet has
    an empty directory; ``None`` says that it begins anew, which leads to the same bits.

    Args:
        directory: of one seed, a checkpoint or a directory of them; of several, the directory that holds ``seedK/``;
            or a run's directory, with the checkpoints in ``checkpoints/``.
        seeds: the run seeds, in the order of the seed axis.

    Raises:
        MissingCheckpointError: if there is nothing, or the directory of a seed is missing.
        CheckpointError: if what is there is damaged, of other seeds, or was saved outside a training run or without its
            buffer.
    """
    if len(seeds) == 1:
        return [_of_one(directory, seeds[0])]
    home = find_home(directory)
    _check_seeds(directory, home, seeds)
    found = [Checkpoint.latest(seed_directory(home, seed)) for seed in seeds]
    if not any(found):
        raise MissingCheckpointError(f"resume: {home} holds no checkpoint of any seed yet; start a new run")
    for seed, checkpoint in zip(seeds, found, strict=True):
        if checkpoint is None:
            log.warning("resume: seed %d has no checkpoint yet; it begins anew", seed)
        else:
            _check_resumable(checkpoint)
    return found


def measure(directory: Path, seeds: Sequence[int]) -> tuple[int, int]:
    """Read how large the agent of a run is from the headers of its checkpoints, before one is made.

    Args:
        directory: a checkpoint of one seed; of several, as :func:`find` takes it.
        seeds: the run seeds.

    Returns:
        The numbers that the networks of all seeds hold, and the environments that each acts in.

    Raises:
        CheckpointError: if there is none, or the directories aren't those of the seeds.
    """
    if len(seeds) == 1:
        return _measured(Checkpoint.open(directory))
    home = find_home(directory)
    _check_seeds(directory, home, seeds)
    for seed in seeds:
        newest = Checkpoint.latest(seed_directory(home, seed))
        if newest is not None:
            n_numbers, n_envs = _measured(newest)
            return len(seeds) * n_numbers, n_envs
    raise MissingCheckpointError(f"resume: {home} holds no checkpoint of any seed yet; start a new run")


def _measured(checkpoint: Checkpoint) -> tuple[int, int]:
    n_envs = checkpoint.metadata.settings.get("n_envs", 1)
    return checkpoint.count_numbers("model_state"), n_envs if isinstance(n_envs, int) else 1


def _of_one(directory: Path, seed: int) -> Checkpoint:
    if (directory / "metadata.json").exists():
        checkpoint: Checkpoint | None = Checkpoint.open(directory)
    else:
        checkpoint = Checkpoint.latest(directory)
    if checkpoint is None:
        there = seed_directories(find_home(directory))
        if there:
            raise CheckpointError(
                f"resume: {directory} holds a run of the seeds {listed(there)}, this agent trains one; make it with "
                f"seeds=, or go on with one seed of that run, as {_any_of(there, seed)}"
            )
        raise MissingCheckpointError(
            f"resume: {directory} holds no checkpoint; name a directory written by SaveCheckpoints"
        )
    _check_resumable(checkpoint)
    return checkpoint


def _any_of(there: dict[int, Path], seed: int) -> Path:
    return there.get(seed, next(iter(there.values())))


def _check_seeds(directory: Path, home: Path, seeds: Sequence[int]) -> None:
    """Compare the seeds of the agent with those that have a directory."""
    there = seed_directories(home)
    if not there:
        what = "is a checkpoint of one seed" if (directory / "metadata.json").exists() else "holds none"
        raise MissingCheckpointError(
            f"resume: expected a directory with {seed_directory(Path(), seeds[0])}/ and so on, one for each of the "
            f"{len(seeds)} seeds of this agent; {directory} {what}"
        )
    missing = [seed for seed in seeds if seed not in there]
    if missing:
        raise MissingCheckpointError(
            f"resume: {seed_directory(home, missing[0])} is missing; this agent trains the seeds {listed(seeds)}, and "
            f"{home} has {listed(there)}; put it back, or make the agent with the seeds that are there"
        )
    foreign = [seed for seed in there if seed not in seeds]
    if foreign:
        raise CheckpointError(
            f"resume: {home} has seed {foreign[0]} too, which this agent doesn't train; make it with all seeds of the "
            f"run ({listed(there)}), or go on with one, as {there[foreign[0]]}"
        )


def _check_resumable(checkpoint: Checkpoint) -> None:
    if checkpoint.metadata.train_state is None:
        raise CheckpointError(
            f"resume: {checkpoint.path} holds an agent but no run (it wasn't written by SaveCheckpoints); "
            "load it with the agent's load() and call train() instead"
        )
    if checkpoint.metadata.buffer is None:
        raise CheckpointError(
            f"resume: {checkpoint.path} was saved without its replay buffer, so the run can't go on exactly; "
            "load it with the agent's load() and call train(), or save with SaveCheckpoints(..., buffer=True)"
        )
