"""Export a policy: describe the agent, let a target write it, and move what was written to its place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from velora.checkpoint import Checkpoint
from velora.checkpoint.choice import choose_checkpoints
from velora.core.errors import ExportError
from velora.export.describe import describe
from velora.export.manifest import FILE, Manifest, digest_of
from velora.export.placing import check_free, move_in, refusals, staged
from velora.export.policy import Policy
from velora.export.progress import Progress, Silent
from velora.export.targets import Options, Target, find_target
from velora.models.agent import Agent
from velora.models.loading import load
from velora.nn.cells.registry import is_foreign


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        out: the file or directory.
        policy: that was written.
        target: its row.
        files: the files and their sizes in bytes.
        notes: what the target has to say, by a name.
    """

    out: Path
    policy: Policy
    target: Target
    files: Mapping[Path, int]
    notes: Mapping[str, str]


def export(
    agent: Agent | str | Path,
    to: str | Target,
    out: str | Path | None = None,
    *,
    dtype: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: object,
) -> Exported:
    """Write a policy to files that run without Velora.

    Args:
        agent: of one seed; or a checkpoint, or a run, of which the checkpoint is chosen as ``velora evaluate`` does.
        to: name of a target: ``"onnx"``, ``"torch"`` or ``"c"``; or a target of your own.
        out: file or directory to write; by default the target's own name, in the current directory. For a target that
            writes one file, a directory that exists takes the file under that name.
        dtype: ``"float32"``, or another that the target has.
        overwrite: replace files that no export wrote, or that were changed since.
        progress: is told how far it is, where that takes long.
        options: of the target.

    Raises:
        ExportError: if the agent or the target can't do it, something is in the way, or nothing can be written there.
        CheckpointError: if there is no valid checkpoint.
    """
    target = to if isinstance(to, Target) else find_target(to)
    given = {name: str(value) for name, value in options.items()}
    dtype = target.dtypes[0] if dtype is None else dtype
    target.check(dtype, given)
    with refusals(Path(out or target.out)):
        place = place_of(target, out)
        check_free(place, is_directory=target.is_directory, overwrite=overwrite)
    write = target.load(dtype)
    agent, checkpoint = (agent, None) if isinstance(agent, Agent) else _loaded(Path(agent))
    policy = describe(agent, checkpoint)
    chosen = Options(dtype, agent, checkpoint, given, progress or Silent())
    with refusals(place), staged(place) as new:
        notes = dict(write(policy, new, chosen) or {})
        if target.is_directory:
            _write_manifest(policy, new, place, target, chosen, notes)
            names = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
            files = {place / name: (new / name).stat().st_size for name in names}
            move_in(new, place, overwrite=overwrite)
        else:
            files = {place: new.stat().st_size}
            os.replace(new, place)
    return Exported(place, policy, target, files, notes)


def place_of(target: Target, out: str | Path | None) -> Path:
    """Return the file or directory that ``out`` means to a target."""
    if out is None or not str(out):
        return Path(target.out)
    place = Path(out)
    if not target.is_directory and (place.is_dir() or str(out).endswith(("/", os.sep))):
        return place / target.out
    return place


def _loaded(path: Path) -> tuple[Agent, Checkpoint]:
    chosen = choose_checkpoints(path)
    if len(chosen) > 1:
        raise ExportError(f"{path}: holds {len(chosen)} seeds; give the directory of one, such as {chosen[0]}")
    checkpoint = Checkpoint.open(chosen[0])
    if is_foreign(cell := checkpoint.metadata.settings.get("cell")):
        raise ExportError(f"{path}: its cell {str(cell)[:100]!r} is code from outside Velora, which can't be exported")
    return load(chosen[0], device="cpu"), checkpoint


def _write_manifest(
    policy: Policy, new: Path, place: Path, target: Target, options: Options, notes: Mapping[str, str]
) -> None:
    files = {
        path.relative_to(new).as_posix(): digest_of(path) or "" for path in sorted(new.rglob("*")) if path.is_file()
    }
    checkpoint = "" if options.checkpoint is None else _path_from(place, options.checkpoint.path)
    manifest = Manifest.of(
        policy, target=target.name, dtype=options.dtype, checkpoint=checkpoint, files=files, notes=notes
    )
    (new / FILE).write_text(manifest.text(), encoding="utf-8", newline="\n")


def _path_from(directory: Path, path: Path) -> str:
    """Return a path from a directory on, with slashes; an absolute one where the two lie on different drives."""
    try:
        return Path(os.path.relpath(path.resolve(), directory.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
