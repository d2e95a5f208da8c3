"""Names, types, defaults and meanings of the settings of a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from velora.cli.settings.fields import told


@dataclass
class TeacherSchema:
    """The teacher, and how its student learns."""

    teacher: str = told(..., "an ONNX file, or a checkpoint of Velora's; the first word of the command is short for it")
    output: str | None = told(None, "the output of an ONNX file that is the action, where it has several")
    actions: str = told(
        "units", "what an ONNX file's actions are in: ``units``, the environment's, or ``normalised``, [-1, 1]"
    )
    means: bool = told(False, "the output holds means, then deviations: its first half is the action")
    beta_steps: int = told(10_000, "steps after agent.warmup_steps in which the teacher's share falls from 1 to 0")
    updates_per_step: float = told(1.0, "updates in each environment step: 1, several, or a fraction such as 0.1")
