"""Record an episode of a policy step by step: what it saw, what every neuron did, what it chose, what it earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import SettingError
from velora.envs import Environments
from velora.envs.drawing import prepare_drawing
from velora.envs.layers import Env
from velora.envs.make import EnvironmentSource
from velora.envs.sensed import names_of_observations
from velora.envs.simulator import Simulator
from velora.export.describe import describe
from velora.export.policy import Policy
from velora.export.replay import Replay
from velora.models.agent import Agent
from velora.training.evaluation import MAX_STEPS, evaluate, reset_seeds
from velora.watch.circuit import Circuit, circuit_of
from velora.watch.currents import currents
from velora.watch.neurons import Neurons
from velora.watch.recorder import Recorder

Floats = NDArray[np.float32]

_FPS = 30.0
"""Pictures per second, where the environment doesn't say how many."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """An array of a trace, and what it says.

    Attributes:
        values: (T,) or (T, columns).
        unit: of its numbers.
        columns: names of its columns; none of (T,).
    """

    values: Floats
    unit: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One episode of T steps.

    Shapes:
        observation: (T, O), in the environment's units, as the policy was shown them.
        network_input: (T, n_inputs), what the network reads: the observation, normalised, and log(dt) if it sees that.
        dt: (T,), time since the observation before, in control steps.
        action: (T, A), in the environment's units; the number of a discrete one.
        reward: (T,).
        state: (T, H), the recurrent state after each step.
        output: (T, K), what the network puts out, before the action is chosen from it.
        activity: (T, N), what each neuron puts out, as the layer after it reads it.
        gate: (T, N), from 0 to 1: how far the neuron's gate is open; see :mod:`velora.watch.neurons`. NaN where it has
            none.
        time_constant: (T, N), in control steps, how long what it holds lasts; NaN where the cell has no such number.
        physics: (T, P), positions and velocities of the simulator at each observation, whatever the policy was shown;
            (T, 0) where nothing is known about it. See :mod:`velora.envs.simulator`.

    Attributes:
        policy: its description.
        circuit: neurons by layer, and synapses.
        environment: identifier of the environment.
        reset_seed: that the environment was reset with.
        pictures: (height, width, 3) of bytes, before each step, and one after the last; empty if there are none.
        picture_ms: time between two of them, as the environment says.
        simulator: names and units of ``physics``; ``None`` where nothing is known.
    """

    policy: Policy
    circuit: Circuit
    observation: Floats
    network_input: Floats
    dt: Floats
    action: Floats
    reward: Floats
    state: Floats
    output: Floats
    activity: Floats
    gate: Floats
    time_constant: Floats
    physics: Floats
    environment: str
    reset_seed: int
    pictures: Sequence[NDArray[np.uint8]] = field(default=(), repr=False)
    picture_ms: float = 1000.0 / 30.0
    simulator: Simulator | None = field(default=None, repr=False)

    @property
    def n_steps(self) -> int:
        """Number of steps (T)."""
        return len(self.reward)

    @property
    def episode_return(self) -> float:
        """Sum of the rewards."""
        return float(self.reward.sum(dtype=np.float64))

    @property
    def current(self) -> Floats:
        """Current of every synapse, (T, synapses), in the order of ``circuit.synapses``; see
        :func:`velora.watch.currents.currents`.
        """
        return currents(self.circuit, self.network_input, self.activity, self.gate)

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """Every array by its name, with its unit and the names of its columns."""
        circuit, policy = self.circuit, self.policy
        neurons = [one.name for one in circuit.neurons]
        inner = tuple(neurons[policy.n_inputs : policy.n_inputs + self.activity.shape[1]])
        ways = tuple(f"{neurons[one.source]} > {neurons[one.target]}" for one in circuit.synapses)
        known = self.simulator
        units = () if known is None else tuple(dict.fromkeys(known.units))
        rows: tuple[tuple[str, str, tuple[str, ...]], ...] = (
            ("observation", "the environment's", tuple(neurons[: policy.n_observations])),
            ("network_input", "normalised observation, log of control steps", tuple(neurons[: policy.n_inputs])),
            ("dt", "control steps", ()),
            ("action", "the environment's", _numbered("action", self.action.shape[1])),
            ("reward", "the environment's", ()),
            ("state", "1", _numbered("state", self.state.shape[1])),
            ("output", "1", _numbered("output", self.output.shape[1])),
            ("activity", "1", inner),
            ("gate", "share, 0 to 1", inner),
            ("time_constant", "control steps", inner),
            ("current", "1", ways),
            ("physics", ", ".join(units), () if known is None else known.names),
        )
        return {name: Quantity(getattr(self, name), unit, columns) for name, unit, columns in rows}


def _numbered(name: str, n: int) -> tuple[str, ...]:
    return (name,) if n == 1 else tuple(f"{name} {k + 1}" for k in range(n))


def trace(
    agent: Agent,
    env: Env | str,
    *,
    seed: int | None = None,
    episode: int = 1,
    max_steps: int = MAX_STEPS,
    pictures: bool = False,
) -> Trace:
    """Let an agent play one episode, without noise or learning, and record it.

    Args:
        agent: of one seed.
        env: an environment, or the id of one.
        seed: decides the episodes; ``None`` takes those of evaluation.
        episode: which of them, from 1 on.
        max_steps: an episode that is so long is cut.
        pictures: keep what ``env.render()`` gives.

    Raises:
        ExportError: if the agent's policy can't be described; see :func:`velora.export.describe.describe`.
        SpaceError: if the environment doesn't fit the agent.
        SettingError: if a number is out of its domain, or ``env`` gives no pictures.
    """
    for name, given in (("max_steps", max_steps), ("episode", episode)):
        if given < 1:
            raise SettingError(f"trace: expected {name} of at least 1, got {given}")
    more = {"render_mode": "rgb_array"} if pictures and isinstance(env, str) else {}
    made, is_own = EnvironmentSource(env, more).first()
    if pictures:
        prepare_drawing()
    reset_seed = reset_seeds(seed, episode)[-1]
    try:
        agent.adapt(made)
        return _record(agent, made, reset_seed, max_steps=max_steps, pictures=pictures)
    finally:
        if is_own:
            made.close()


def _record(agent: Agent, env: Env, reset_seed: int, *, max_steps: int, pictures: bool) -> Trace:
    policy, sensed = describe(agent), names_of_observations(env)
    recorder = Recorder(env, pictures=pictures)
    obs_dim = env.observation_space.shape[0]  # type: ignore[index]
    envs = Environments([recorder], obs_dim=obs_dim, shows_time=agent.sees_time)
    seen: list[tuple[Floats, Floats, float, Floats]] = []

    def act(obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        action, after = agent.act(obs, hidden, dt)
        seen.append(
            (obs[0, 0].cpu().numpy().copy(), hidden[0, 0].cpu().numpy(), float(dt[0, 0]), after[0, 0].cpu().numpy())
        )
        return action, after

    with torch.inference_mode():
        evaluate(agent, envs, [reset_seed], act=act, max_steps=max_steps, tells_cut=False)
    neurons, replay = Neurons(policy), Replay(policy)
    inputs = [replay.inputs(obs[: policy.n_observations], dt) for obs, _, dt, _ in seen]
    looks = [neurons.look(x, before, after, dt) for x, (_, before, dt, after) in zip(inputs, seen, strict=True)]
    activity, gate, time_constant = (_floats([look[k] for look in looks]) for k in range(3))
    return Trace(
        policy=policy,
        circuit=circuit_of(policy, sensed if len(sensed) == policy.n_observations else ()),
        observation=_floats([obs[: policy.n_observations] for obs, *_ in seen]),
        network_input=_floats(inputs),
        dt=_floats([dt for _, _, dt, _ in seen]),
        action=_floats(recorder.actions).reshape(len(seen), -1),
        reward=_floats(recorder.rewards),
        state=_floats([after for *_, after in seen]),
        output=_floats([replay.output(after) for *_, after in seen]),
        activity=activity,
        gate=gate,
        time_constant=time_constant,
        physics=_floats(recorder.physics[: len(seen)]).reshape(len(seen), -1),
        environment=policy.origin.environment,
        reset_seed=reset_seed,
        pictures=tuple(recorder.pictures),
        picture_ms=1000.0 / float((env.metadata or {}).get("render_fps") or _FPS),
        simulator=recorder.simulator,
    )


def _floats(rows: Sequence[Any]) -> Floats:
    return np.asarray(rows, np.float32)
