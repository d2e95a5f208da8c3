"""Find the checkpoint that each seed of a run goes on from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from velora.checkpoint import Checkpoint, MissingCheckpointError
from velora.checkpoint.found import children
from velora.checkpoint.layout import find_home, listed, seed_directories, seed_directory
from velora.checkpoint.schema import METADATA_FILE
from velora.core.errors import CheckpointError

log = logging.getLogger(__name__)


def find(directory: Path, seeds: Sequence[int], *, are_chosen: bool) -> list[Checkpoint | None]:
    """Find a checkpoint for every seed: that at a path, or the newest one in the directory of each seed.

    After a kill the seeds of a run may stand at different steps. One that had not come to its first checkpoint yet has
    an empty directory; ``None`` says that it begins anew, which leads to the same bits.

    Args:
        directory: of one seed, a checkpoint or a directory of them; of several, the directory that holds ``seedK/``;
            or a run's directory, with the checkpoints in ``checkpoints/``.
        seeds: the run seeds, in the order of the seed axis.
        are_chosen: whether somebody chose them; if not, that of a checkpoint may be another.

    Raises:
        MissingCheckpointError: if there is nothing, or the directory of a seed is missing.
        CheckpointError: if what is there is damaged, of other seeds, or was saved outside a training run or without its
            buffer.
    """
    if len(seeds) == 1:
        one = _of_one(directory, seeds[0])
        if are_chosen and one.metadata.seed != seeds[0]:
            raise CheckpointError(
                f"resume: {one.path} is of seed {one.metadata.seed}, this agent was made with seed {seeds[0]}; make it "
                f"with seed={one.metadata.seed}, or start a new run"
            )
        return [one]
    home = find_home(directory)
    _check_seeds(directory, home, seeds)
    found = [Checkpoint.latest(seed_directory(home, seed)) for seed in seeds]
    if not any(found):
        raise MissingCheckpointError(f"resume: {home} holds no checkpoint of any seed yet; start a new run")
    for seed, checkpoint in zip(seeds, found, strict=True):
        if checkpoint is None:
            log.warning("resume: seed %d has no checkpoint yet; it begins anew", seed)
            continue
        if checkpoint.metadata.seed != seed:
            raise CheckpointError(
                f"resume: {checkpoint.path} is of seed {checkpoint.metadata.seed}, expected one of seed {seed}; put it "
                "where it belongs"
            )
        _check_resumable(checkpoint)
    return found


def measure(directory: Path, seeds: Sequence[int]) -> tuple[int, int]:
    """Read how large the agent of a run is from the header of one of its checkpoints, before an agent is made.

    Args:
        directory: as :func:`find` takes it.
        seeds: the run seeds.

    Returns:
        The numbers that the networks of all seeds hold, and the environments that each acts in.

    Raises:
        CheckpointError: if there is none, or the directories aren't those of the seeds.
    """
    home = find_home(directory)
    if len(seeds) > 1:
        _check_seeds(directory, home, seeds)
    parents = [home] if len(seeds) == 1 else [seed_directory(home, seed) for seed in seeds]
    for path in [directory] if names_one(directory) else [path for parent in parents for path in children(parent)]:
        try:
            checkpoint = Checkpoint.open(path)
            n_numbers = len(seeds) * checkpoint.count_numbers("model_state")
        except CheckpointError:
            continue  # which find() reports
        n_envs = checkpoint.metadata.settings.get("n_envs", 1)
        return n_numbers, n_envs if isinstance(n_envs, int) else 1
    raise MissingCheckpointError(f"resume: {directory}: expected a valid checkpoint to go on from, found none")


def names_one(directory: Path) -> bool:
    """Return whether a path is a checkpoint itself, and not a directory of them."""
    return (directory / METADATA_FILE).exists()


def _of_one(directory: Path, seed: int) -> Checkpoint:
    if names_one(directory):
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
            f"resume: {directory}: expected a valid checkpoint to go on from, found none; start a new run, or name a "
            "directory written by SaveCheckpoints"
        )
    _check_resumable(checkpoint)
    return checkpoint


def _any_of(there: dict[int, Path], seed: int) -> Path:
    return there.get(seed, next(iter(there.values())))


def _check_seeds(directory: Path, home: Path, seeds: Sequence[int]) -> None:
    """Compare the seeds of the agent with those that have a directory."""
    there = seed_directories(home)
    if not there:
        what = "is a checkpoint of one seed" if names_one(directory) else "holds none"
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
