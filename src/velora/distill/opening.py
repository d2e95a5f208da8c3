"""Open a teacher from a file or a directory."""

from __future__ import annotations

import os
from pathlib import Path

from velora.checkpoint.choice import choose_checkpoints
from velora.core import zoo
from velora.core.errors import TeacherError
from velora.distill.agent_teacher import AgentTeacher
from velora.distill.onnx_teacher import OnnxTeacher
from velora.distill.teacher import Teacher, Units
from velora.models.loading import load


def open_teacher(
    place: str | Path,
    *,
    output: str | None = None,
    actions: Units = "units",
    means: bool = False,
    name: str | None = None,
) -> Teacher:
    """Open a teacher: an ONNX file, or a checkpoint of Velora's.

    Args:
        place: the file; or a checkpoint, a run that has one, or ``"zoo:<name>"``.
        output: name of the file's output that is the action, where it has several.
        actions: what the file's actions are in.
        means: the output holds means, then deviations: the first half is the action.
        name: what errors call it; ``None`` is the place.

    Raises:
        TeacherError: if there is none.
        CheckpointError: if there is no whole checkpoint in a directory.
    """
    path, name = Path(place), str(place) if name is None else name
    if not os.path.isdir(path) and not str(place).startswith(zoo.PREFIX):
        return OnnxTeacher(path, output=output, actions=actions, means=means, name=name)
    first, *others = choose_checkpoints(path)
    if others:
        raise TeacherError(f"teacher: {name}: holds {1 + len(others)} seeds; choose the checkpoint of one, as {first}")
    return AgentTeacher(load(first, device="cpu"), name=name)
