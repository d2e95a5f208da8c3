"""Experience of a student: its own states, with what the teacher would have done there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.distill.lesson import Imitation
from velora.distill.supervisor import Supervisor
from velora.distill.teacher import Teacher
from velora.envs import Environments
from velora.models.agent import Agent
from velora.models.experience.replay import LABEL, TAUGHT, Replay
from velora.models.experience.updates import Updates
from velora.training.resume import form


class Labelled(Replay):
    """Replayed experience whose actions are the teacher's labels, and updates that imitate them.

    A row holds the observation that the student saw, the recurrent state that it acted from, and as its action the
    teacher's for the whole observation of that step. So its rows can't be learned from by reinforcement, which a resume
    refuses: what was done isn't kept.

    Args:
        agent: the student.
        teacher: gives the labels.
        updates_per_step: see :class:`Replay`.
    """

    def __init__(self, agent: Agent, teacher: Teacher, *, updates_per_step: float) -> None:
        super().__init__(agent, updates_per_step=updates_per_step)
        width: int = agent.row_sizes(agent.state_size)["action_dim"]
        self.supervisor = Supervisor(teacher, agent.n_seeds, width)

    @cached_property
    def updates(self) -> Updates:
        """Updates that imitate."""
        return Updates(self.agent, self.buffer, lesson=Imitation(self.agent, self.buffer))

    def meet(self, envs: Environments) -> None:
        """Let the teacher see the environments."""
        self.supervisor.meet(envs)

    def ask(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Ask the teacher about the step that begins; see :meth:`Supervisor.ask`."""
        return self.supervisor.ask(rows, self.buffer.incoming["dt"], self.agent.bounds)

    def store(self, rows: tuple[int, ...]) -> None:
        """Keep the ``incoming`` transition of these seeds, with the label as its action."""
        action = self.buffer.incoming["action"]
        done = action.copy()
        action[...] = self.supervisor.labels
        super().store(rows)
        action[...] = done  # which hooks are shown

    def begun(self, seed_index: int) -> dict[str, Tensor]:
        """See :class:`velora.training.experience.Experience`; beside the row there is its label, (1, 1, A)."""
        label = torch.from_numpy(self.supervisor.labels[seed_index].copy()).view(1, 1, -1)
        return {**super().begun(seed_index), LABEL: label}

    def begin_again(self, begun: Mapping[str, Tensor], seed_index: int) -> None:
        """See :class:`velora.training.experience.Experience`."""
        super().begin_again(begun, seed_index)
        self.supervisor.labels[seed_index] = begun[LABEL].view(-1).numpy()

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the state of exploration, and the teacher with what it remembers."""
        memory = torch.from_numpy(self.supervisor.memory[seed_index].copy())
        teacher = {"digest": self.supervisor.teacher.digest, "memory": memory}
        return {**super().state_dict(seed_index), TAUGHT: teacher}

    def find_state_fault(self, state: Mapping[str, Any], seed_index: int = 0) -> str | None:
        """See :class:`velora.training.experience.Experience`; one without a teacher is for the resume to refuse."""
        expected = self.state_dict(seed_index)
        if TAUGHT not in state:
            del expected[TAUGHT]
        return form.difference(expected, state, "experience")

    def find_resume_fault(self, state: Mapping[str, Any]) -> str | None:
        """Return why the rows can't be learned from: nobody taught them, or another teacher did."""
        if TAUGHT not in state:
            return "the run learns without a teacher; go on with it by velora train, or load the agent and distil anew"
        taught, here = state[TAUGHT]["digest"], self.supervisor.teacher.digest
        if taught != here:
            return f"the run has another teacher ({taught[:12]}) than was given ({here[:12]}); give that one"
        return None

    def load_state_dict(self, state: Mapping[str, Any], seed_index: int = 0) -> None:
        """Take it over."""
        super().load_state_dict(state, seed_index)
        self.supervisor.memory[seed_index] = np.asarray(state[TAUGHT]["memory"])
