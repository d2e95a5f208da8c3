"""Teachers: policies that say what to do in a state, whatever they were made with."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from velora.checkpoint.choice import choose_checkpoints
from velora.core import disk, zoo
from velora.core.errors import NonFiniteError, TeacherError
from velora.core.types import Array
from velora.distill import onnx_file
from velora.envs.action_spaces import is_discrete
from velora.models.agent import Agent
from velora.models.checkpoint_contents import model_tensors
from velora.models.loading import load

Units: TypeAlias = Literal["units", "normalised"]
"""What the numbers of an action are in: the environment's units, or [-1, 1] for its bounds."""


class Teacher(ABC):
    """A policy that is asked, one observation after another, along episodes.

    Attributes:
        name: for errors.
        digest: tells it from others.
        state_size: numbers that it carries from one step to the next (H); 0 without memory.
        actions: what its actions are in.
    """

    name: str
    digest: str
    state_size: int = 0
    actions: Units = "units"

    @abstractmethod
    def check(self, env: gym.Env[Any, Any]) -> None:
        """Check that it fits an environment of flat observations, as the teacher sees it.

        Raises:
            TeacherError: if it doesn't.
        """

    @abstractmethod
    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """Say what to do.

        Shapes:
            obs: (O,). state: (H,), zeros at an episode's start.
            returns: the action (A,), or the number of a discrete one (1,), counted from 0; the next state (H,).

        Args:
            dt: time since the observation before, in control steps.

        Raises:
            NonFiniteError: if the answer isn't finite.
        """

    @abstractmethod
    def keep(self, place: Path) -> Path:
        """Write it into a directory, from which :func:`open_teacher` reads the same; return where."""


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
    if not path.is_dir() and not str(place).startswith(zoo.PREFIX):
        return OnnxTeacher(path, output=output, actions=actions, means=means, name=name)
    first, *others = choose_checkpoints(path)
    if others:
        raise TeacherError(f"teacher: {name}: holds {1 + len(others)} seeds; choose the checkpoint of one, as {first}")
    return AgentTeacher(load(first, device="cpu"), name=name)


@final
class OnnxTeacher(Teacher):
    """A policy in an ONNX file: one input, the observation, and an output that is the action.

    An action is what the environment takes, or in [-1, 1]; of discrete actions the number of one, or a number for each,
    of which the largest is taken. A batch of 1 is asked, so that the file's batch may be of that size or any.

    Args:
        path: the file.
        output, actions, means, name: see :func:`open_teacher`.

    Raises:
        TeacherError: if it isn't there, can't be loaded, or has other inputs and outputs than these.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        output: str | None = None,
        actions: Units = "units",
        means: bool = False,
        name: str | None = None,
    ) -> None:
        self.name, self.actions, self._means = str(path) if name is None else name, actions, means
        if actions not in ("units", "normalised"):
            raise TeacherError(f"teacher: actions: expected units or normalised, got {actions!r}")
        try:
            self._content = Path(path).read_bytes()
        except OSError as error:
            raise TeacherError(
                f"teacher: {self.name}: can't be read ({error.strerror}); expected an ONNX file"
            ) from error
        self.digest = hashlib.sha256(self._content).hexdigest()
        self._file = onnx_file.load(self._content, self.name)
        self._input = self._only_input()
        self._output = self._chosen_output(output)
        self._n_choices: int | None = None
        self._n_actions = 0

    def _only_input(self) -> onnx_file.Port:
        inputs = self._file.inputs
        if len(inputs) != 1:
            raise TeacherError(
                f"teacher: {self.name}: expected one input, the observation, got "
                f"{', '.join(map(str, inputs)) or 'none'}; of a policy with memory give Velora's checkpoint instead"
            )
        port = inputs[0]
        if port.dtype is None or len(port.shape) not in (1, 2):
            raise TeacherError(
                f"teacher: {self.name}: expected an input of (batch, observation) floats, got {port} of {port.kind}"
            )
        if len(port.shape) == 2 and port.shape[0] not in (None, 1):
            raise TeacherError(
                f"teacher: {self.name}: expected a batch of any size, or of 1, got {port}; export it with such a batch"
            )
        return port

    def _chosen_output(self, output: str | None) -> str:
        names = [port.name for port in self._file.outputs]
        if output is None and len(names) == 1:
            return names[0]
        if output not in names:
            given = f", got {output!r}" if output is not None else f", since it has {len(names)}"
            raise TeacherError(
                f"teacher: {self.name}: expected the name of the output that is the action{given}; give "
                f"distill.output=<name>, one of {', '.join(names)}"
            )
        return output

    def check(self, env: gym.Env[Any, Any]) -> None:
        """See :class:`Teacher`; the file is asked once, about the observation of a reset."""
        shown, taken = (env.observation_space.shape or (0,))[0], self._input.shape[-1]
        if taken not in (None, shown):
            raise TeacherError(
                f"teacher: {self.name}: reads {taken} numbers ({self._input}), and the environment shows {shown}; give "
                "the environment that it was trained in, what the student sees is for env/mask, env/noise and the like"
            )
        acted = env.action_space
        if is_discrete(env):
            self._n_choices = int(acted.n)  # type: ignore[attr-defined]
        else:
            self._n_choices, self._n_actions = None, int(np.prod(acted.shape or ()))
        obs, _ = env.reset(seed=0)
        self.answer(np.asarray(obs, np.float32), np.zeros(0, np.float32), 1.0)

    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """See :class:`Teacher`."""
        given = obs.astype(self._input.dtype).reshape([1] * (len(self._input.shape) - 1) + [-1])
        try:
            (made,) = self._file.run([self._output], {self._input.name: given})
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            raise TeacherError(f"teacher: {self.name}: can't be computed ({text})") from error
        return self._read(np.asarray(made)), state

    def _read(self, made: Array) -> Array:
        numbers = made.ravel()
        if not np.isfinite(numbers).all():
            raise NonFiniteError(
                f"teacher: {self.name}: answered {numbers[:8]}; expected finite numbers: look into the file, or into "
                "the observations that it was trained on"
            )
        if self._n_choices is not None:
            return self._choice(numbers, is_number=made.dtype.kind in "iu")
        expected = 2 * self._n_actions if self._means else self._n_actions
        if numbers.size != expected:
            twice = numbers.size == 2 * self._n_actions
            hint = "; if these are means, then deviations: distill.means=true" if twice else ""
            raise TeacherError(
                f"teacher: {self.name}: output {self._output}: expected {expected} numbers, one for each of the "
                f"environment's actions, got {numbers.size}{hint}"
            )
        return numbers[: self._n_actions].astype(np.float32)

    def _choice(self, numbers: Array, *, is_number: bool) -> Array:
        n = self._n_choices
        assert n is not None
        if numbers.size == n and not (is_number and n == 1):
            return np.array([numbers.argmax()], np.float32)
        if numbers.size == 1 and float(numbers[0]).is_integer() and 0 <= numbers[0] < n:
            return numbers.astype(np.float32)
        raise TeacherError(
            f"teacher: {self.name}: output {self._output}: expected a number for each of {n} actions, or that of one "
            f"from 0 to {n - 1}, got {numbers[:8]}"
        )

    def keep(self, place: Path) -> Path:
        """See :class:`Teacher`."""
        path = place / "teacher.onnx"
        disk.make_directory(place)
        staged = path.with_name(f".{path.name}.part")
        staged.write_bytes(self._content)
        staged.replace(path)
        return path


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
            torch.full((1, 1), dt, device=agent.device),
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
