"""A policy of any library as a teacher, from an ONNX file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, final

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from velora.core import disk
from velora.core.errors import NonFiniteError, TeacherError
from velora.core.types import Array
from velora.distill import onnx_file
from velora.distill.teacher import Teacher, Units
from velora.envs.action_spaces import is_discrete


@final
class OnnxTeacher(Teacher):
    """A policy in an ONNX file: an input that is the observation, and an output that is the action.

    An action is what the environment takes, or in [-1, 1]; of discrete actions the number of one, as the environment
    counts them, or a number for each, of which the largest is taken. A batch of 1 is asked, so that the file's batch
    may be of that size or any.

    A memory is an input ``x`` with an output ``next_x``, or ``x_in`` with ``x_out``; there may be several. An input
    ``dt`` is told the time since the observation before, in control steps.

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
        ports = self._file.inputs
        self._memory = [(port, after) for port in ports if (after := self._following(port.name)) is not None]
        self._times = [port for port in ports if port.name == "dt"]
        self.state_size = sum(port.size for port, _ in self._memory)
        self._input = self._observation()
        self._output = self._chosen_output(output)
        self._n_choices: int | None = None
        self._first = 0
        self._n_actions = 0

    def _following(self, name: str) -> str | None:
        """Return the output that is the next value of an input; ``None`` if there is none."""
        names = {f"next_{name}", *([name.removesuffix("_in") + "_out"] if name.endswith("_in") else [])}
        return next((port.name for port in self._file.outputs if port.name in names), None)

    def _observation(self) -> onnx_file.Port:
        known = [*(port for port, _ in self._memory), *self._times]
        inputs = [port for port in self._file.inputs if port not in known]
        if len(inputs) != 1:
            raise TeacherError(
                f"teacher: {self.name}: expected one input, the observation, got "
                f"{', '.join(map(str, inputs)) or 'none'}; a memory has an output too: hidden and next_hidden, or h_in "
                "and h_out"
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
        states = {after for _, after in self._memory}
        names = [port.name for port in self._file.outputs if port.name not in states]
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
            self._n_choices, self._first = int(acted.n), int(acted.start)  # type: ignore[attr-defined]
        else:
            self._n_choices, self._n_actions = None, int(np.prod(acted.shape or ()))
        obs, _ = env.reset(seed=0)
        self.answer(np.asarray(obs, np.float32), np.zeros(self.state_size, np.float32), 1.0)

    def answer(self, obs: NDArray[np.float32], state: NDArray[np.float32], dt: float) -> tuple[Array, Array]:
        """See :class:`Teacher`."""
        given = {self._input.name: obs.astype(self._input.dtype).reshape([1] * (len(self._input.shape) - 1) + [-1])}
        given |= {port.name: np.full(port.sizes, dt, port.dtype) for port in self._times}
        at = 0
        for port, _ in self._memory:
            given[port.name] = state[at : at + port.size].astype(port.dtype).reshape(port.sizes)
            at += port.size
        try:
            made, *states = self._file.run([self._output, *(after for _, after in self._memory)], given)
            following = np.concatenate([np.asarray(one, np.float32).ravel() for one in (state[:0], *states)])
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            raise TeacherError(f"teacher: {self.name}: can't be computed ({text})") from error
        return self._read(np.asarray(made)), following

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
        n, first = self._n_choices, self._first
        assert n is not None
        if numbers.size == n and not (is_number and n == 1):
            return np.array([numbers.argmax()], np.float32)
        if numbers.size == 1 and float(numbers[0]).is_integer() and first <= numbers[0] < first + n:
            return (numbers - first).astype(np.float32)
        raise TeacherError(
            f"teacher: {self.name}: output {self._output}: expected a number for each of {n} actions, or that of one "
            f"from {first} to {first + n - 1}, got {numbers[:8]}"
        )

    def keep(self, place: Path) -> Path:
        """See :class:`Teacher`."""
        path = place / "teacher.onnx"
        disk.make_directory(place)
        staged = path.with_name(f".{path.name}.part")
        try:
            staged.write_bytes(self._content)
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        return path
