"""Verify checkpoints: read them as loading and resuming do, with the same suspicion, and keep nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from velora.checkpoint import Checkpoint, MissingCheckpointError, agents
from velora.checkpoint.found import children
from velora.checkpoint.layout import find_home, seed_directories
from velora.checkpoint.schema import FILE_NAMES
from velora.core.errors import CheckpointError
from velora.core.version import __version__
from velora.models.loading import find_class
from velora.nn.cells.registry import find_row, is_foreign
from velora.training.resume import circumstances
from velora.training.resume.read_state import read_state
from velora.training.resume.report import about_end


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on one checkpoint.

    Attributes:
        path: its directory.
        checkpoint: metadata and place, where the metadata could be read.
        problem: why it is broken, in one line that names the file; ``None`` if it is whole.
        note: what couldn't be checked here.
        differences: how a resume here would differ, a line each; what depends on the environment is told by the resume.
    """

    path: Path
    checkpoint: Checkpoint | None
    problem: str | None = None
    note: str | None = None
    differences: tuple[str, ...] = ()

    @property
    def is_resumable(self) -> bool:
        """Return whether a run can go on from it: it is whole, of a run, and has its buffer."""
        if self.problem is not None or self.checkpoint is None:
            return False
        metadata = self.checkpoint.metadata
        return metadata.train_state is not None and metadata.buffer is not None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts on all checkpoints at a path.

    Attributes:
        path: the checkpoint or the run.
        found: in the order of the run, the newest last; those that can't be read first.
        newest: of every seed, the whole one that a resume takes; of one checkpoint, that.
    """

    path: Path
    found: tuple[Verdict, ...]
    newest: tuple[Verdict, ...]

    @property
    def is_whole(self) -> bool:
        """Return whether none is broken."""
        return all(verdict.problem is None for verdict in self.found)


def verify(path: str | Path) -> Verdicts:
    """Verify a checkpoint, or every checkpoint of a run, byte by byte and value by value.

    Each is read as ``velora.load`` and a resume read it. Nothing in it is run, and nothing on the disk changes.

    Args:
        path: a checkpoint, a run, or the directory of a run's checkpoints.

    Raises:
        MissingCheckpointError: if there is nothing that was meant as a checkpoint.

    Example:
        >>> import tempfile, velora
        >>> from velora.models import LiquidDDPG
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     path = LiquidDDPG(3, 6, 1, device="cpu").save(f"{directory}/ep1")
        ...     velora.verify(path).is_whole
        True
    """
    path = Path(path)
    if any((path / name).exists() for name in FILE_NAMES):
        only = examine(path)
        return Verdicts(path, (only,), (only,) if only.problem is None else ())
    home = find_home(path)
    found: list[Verdict] = []
    newest: list[Verdict] = []
    for parent in seed_directories(home).values() or (home,):
        own = sorted(map(examine, children(parent)), key=_rank)
        found += own
        newest += [verdict for verdict in own if verdict.problem is None][-1:]
    if not found:
        raise MissingCheckpointError(f"{path}: no checkpoint here; expected one, or a run that has some")
    return Verdicts(path, tuple(found), tuple(newest))


def examine(path: Path) -> Verdict:
    """Read one checkpoint wholly and return the verdict on it."""
    checkpoint, note, differences = None, None, list[str]()
    try:
        checkpoint = Checkpoint.open(path)
        if unknown := _unknown_class(checkpoint):
            checkpoint.verify()
            note = f"{unknown}, which isn't registered here: only its bytes were checked"
        else:
            differences = _read(checkpoint)
    except CheckpointError as error:
        return Verdict(path, checkpoint, str(error))
    return Verdict(path, checkpoint, note=note, differences=tuple(differences))


def _unknown_class(checkpoint: Checkpoint) -> str | None:
    """Name the class of the user's own that the agent needs and nothing has registered."""
    key, cell = checkpoint.metadata.agent, checkpoint.metadata.settings.get("cell")
    if key not in agents:
        return f"of an agent {key!r}"
    return f"with a cell {str(cell)[:100]!r}" if is_foreign(cell) and find_row(str(cell)) is None else None


def _read(checkpoint: Checkpoint) -> list[str]:
    """Load the agent, and read the state of its run; return how that would differ here."""
    metadata = checkpoint.metadata
    agent = find_class(checkpoint).load(checkpoint.path, buffer=metadata.buffer is not None, device="cpu")
    if metadata.train_state is None:
        return []
    state = read_state(checkpoint, agent, 0)
    before, lived = state.circumstances, state.lane
    end = about_end(state, agent.seeds[0], lived["lived"][1] - lived["origin"][1])
    now = {**before, "velora": __version__, **circumstances.of_machine(agent)}
    return [*([end] if end else []), *circumstances.differences(before, now)]


def _rank(verdict: Verdict) -> tuple[bool, object]:
    """Order verdicts as :meth:`Checkpoint.latest` orders checkpoints."""
    return (False, str(verdict.path)) if verdict.checkpoint is None else (True, verdict.checkpoint._rank())
