"""What a checkpoint is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import velora
from velora.checkpoint import Checkpoint, agents
from velora.checkpoint.layout import CHECKPOINTS
from velora.checkpoint.remote import HOME
from velora.checkpoint.schema import FILE_NAMES, Metadata
from velora.cli.command.arguments import written
from velora.cli.run import resume, trust
from velora.cli.run.run_directory import CONFIG, METRICS, load_settings
from velora.core.errors import RunDirectoryError
from velora.models import portrait
from velora.models.portrait import counted
from velora.nn.cells.registry import find_row, is_foreign

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def is_checkpoint(path: Path) -> bool:
    """Return whether a directory is a checkpoint, be it valid or damaged."""
    return any((path / name).exists() for name in FILE_NAMES)


def found_at(path: Path) -> Path | None:
    """Return the checkpoint that a path is, or that of a shared agent, beside which no run lies; ``None`` for a run."""
    if is_checkpoint(path):
        return path
    is_run = any((path / name).exists() for name in (CONFIG, METRICS))
    return path / HOME if not is_run and is_checkpoint(path / HOME) else None


def of_checkpoint(path: Path) -> Iterator[tuple[str, str]]:
    """Describe a checkpoint, every byte of which is verified.

    Raises:
        CheckpointError: if it is damaged.
    """
    checkpoint = Checkpoint.open(path)
    metadata = checkpoint.metadata
    yield "checkpoint", f"{path}, saved by velora {metadata.velora_version}"
    yield from of_agent(checkpoint)
    if metadata.buffer is not None:
        held, room = int(metadata.buffer["size"]), int(metadata.buffer["capacity"])
        yield "buffer", f"{held:,} of at most {counted(room, 'transition')}"
    of_run = metadata.train_state is not None
    yield "of a run", "yes: it can be resumed" if of_run and metadata.buffer else "yes" if of_run else "no"
    yield "files", files(path)
    yield "", ""
    run = resume.run_of(path)
    yield from commands(
        path, run if of_run and metadata.buffer is not None and path.parent.name == CHECKPOINTS else None
    )
    yield "python", f'agent = velora.load("{path}")'


def of_agent(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    """Describe the agent of a checkpoint; one of a class that isn't registered here by what the metadata says.

    Raises:
        CheckpointError: if the checkpoint is damaged.
    """
    metadata = checkpoint.metadata
    cell: Any = metadata.settings.get("cell")
    if metadata.agent in agents and (not is_foreign(cell) or find_row(cell) is not None):
        agent = velora.load(checkpoint.path, device="cpu")
        yield "agent", portrait.call(agent)
        yield from (fact for fact in portrait.facts(agent) if fact[0] != "computes")
        return
    checkpoint.verify()
    yield "agent", _call(metadata)
    word = f"cell={cell}" if metadata.agent in agents else "agent=my_module.MyAgent"
    yield "code", f"from outside Velora, and not loaded: {word} beside velora show imports it, and shows more"
    yield "trained", portrait.trained([metadata.progress])  # type: ignore[list-item]
    if metadata.environment is not None:
        yield "environment", str(metadata.environment["id"])


def _call(metadata: Metadata) -> str:
    """Write the call that makes an agent which isn't loaded; one of a class that isn't known by its key."""
    settings: dict[str, Any] = dict(metadata.settings)
    kinds = [agents.get(key) for key in ([metadata.agent] if metadata.agent in agents else agents)]
    sizes: list[Any] = [settings.pop(name) for name in portrait.SIZES if name in settings]
    for kind in kinds:  # a class that isn't known may have any of their defaults
        settings = kind.settings_type.changed(settings)
    name = kinds[0].__name__ if metadata.agent in agents else metadata.agent
    return portrait.call_of(name, sizes, settings, [metadata.seed])


def commands(path: Path, run: Path | None, *further: str, plays: bool = True) -> Iterator[tuple[str, str]]:
    """Write the commands that use a checkpoint; code from outside Velora is named, as each of them asks for it.

    Args:
        path: the checkpoint, or the run.
        run: the run to go on with; ``None`` if there is none.
        further: words of the command that goes on.
        plays: whether there is an agent to play with.
    """
    home, more = resume.run_of(path), list[str]()
    try:
        settings = load_settings(home)
    except RunDirectoryError:  # a run of Python's
        settings = None
    if settings is not None:
        own = dict((*trust.foreign_code(settings), *trust.foreign_places(settings, home)))
        more = [written(name, value) for name, value in own.items() if name.startswith(("agent.", "env."))]
    for name in ("evaluate", "record", "watch", "audit") if plays else ():
        yield name, " ".join([f"velora {name}", written("checkpoint", str(path)), *more])
    if run is not None and settings is not None:
        yield "go on", resume.command(run if path == run else path, settings, *further)


def files(directory: Path) -> str:
    """List the files in a directory, and how large what is below others is."""
    found = []
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            found.append(f"{path.name}/ {_size(sum(one.stat().st_size for one in path.rglob('*') if one.is_file()))}")
        elif not path.name.startswith("."):
            found.append(f"{path.name} {_size(path.lstat().st_size)}")
    return ", ".join(found)


def _size(n: float) -> str:
    for unit in _UNITS:
        if n < 1000 or unit == _UNITS[-1]:
            break
        n /= 1000
    return f"{n:.0f} {unit}" if n >= 100 or unit == _UNITS[0] else f"{n:.1f} {unit}"
