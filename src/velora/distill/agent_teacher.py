"""An agent of Velora's as a teacher."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from velora.core.errors import NonFiniteError, TeacherError
from velora.core.types import Array
from velora.distill.teacher import Teacher
from velora.envs.action_spaces import is_discrete
from velora.models.agent import Agent
from velora.models.checkpoint_contents import model_tensors


@final
class AgentTeacher(Teacher):
    """An agent of Velora's, which acts greedily and may have a memory.

    Args:
        agent: of one seed.
        name: for errors.

    Raises:
        TeacherError: if it holds several seeds.
    """

    def __init__(self, agent: Agent, *, name: str = "the agent") -> None:
        if agent.n_seeds > 1:
            raise TeacherError(f"teacher: {name}: holds {agent.n_seeds} seeds; choose one with agent.seed(k)")
        self.name, self._agent = name, agent
        self.state_size = agent.state_size
        self.digest = _digest(agent)

    def check(self, env: gym.Env[Any, Any]) -> None:
        """See :class:`Teacher`."""
        agent = self._agent
        shown, reads = (env.observation_space.shape or (0,))[0], agent.settings.state_dim
        if reads != shown:
            seen = (agent.environment or {}).get("id", "its environment")
            raise TeacherError(
                f"teacher: {self.name}: reads {reads} numbers, of {seen}, and the environment shows {shown}; give the "
                "environment that it was trained in, what the student sees is for env/mask, env/noise and the like"
            )
        n = int(env.action_space.n) if is_discrete(env) else int(np.prod(env.action_space.shape or ()))  # type: ignore[attr-defined]
        if (agent.discrete, agent.settings.action_dim) != (is_discrete(env), n):
            kind = "discrete actions" if agent.discrete else "numbers in an action"
            raise TeacherError(
                f"teacher: {self.name}: has {agent.settings.action_dim} {kind}, and the environment takes "
                f"{env.action_space}; give the environment that it was trained in"
            )

    @torch.inference_mode()
    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """See :class:`Teacher`."""
        agent = self._agent
        seen = np.append(obs, np.float32(np.log(dt))) if agent.sees_time else obs
        action, last = agent.act(
            torch.from_numpy(seen.astype(np.float32)).view(1, 1, -1).to(agent.device),
            torch.from_numpy(state).view(1, 1, -1).to(agent.device),
            torch.full((1, 1), dt, dtype=torch.float32, device=agent.device),
        )
        made = action[0, 0].cpu().numpy()
        if not np.isfinite(made).all():
            raise NonFiniteError(f"teacher: {self.name}: answered {made[:8]}; expected finite numbers")
        return (made if agent.discrete else agent.bounds.to_environment(made)), last[0, 0].cpu().numpy().copy()

    def keep(self, place: Path) -> Path:
        """See :class:`Teacher`."""
        return self._agent.save(place / "teacher")


def _digest(agent: Agent) -> str:
    """Digest what decides the answers: settings, weights and units."""
    made = hashlib.sha256(json.dumps([agent.key, agent.settings_dict(), agent.bounds.describe()]).encode())
    for name, tensor in sorted(model_tensors(agent).items()):
        made.update(name.encode())
        made.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return made.hexdigest()
