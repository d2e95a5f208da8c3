"""Prove a policy on every target: in open loop beside float64 and ``predict``, in closed loop beside ``predict``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velora.core.types import Array
from velora.envs.actions import ActionBounds
from velora.envs.make import Env
from velora.export.manifest import Manifest
from velora.export.policy import Policy
from velora.models.agent import Agent
from velora.proof import episodes, firmware
from velora.proof.episodes import Predicting, Trace
from velora.proof.machine import MEASURE, RESET, Machine, Sizes, selftest
from velora.proof.progress import Progress
from velora.proof.results import Distance, Proof, TargetResult
from velora.proof.state import StateLayout, StateUnits
from velora.proof.targets import Target, installing


@dataclass(frozen=True, slots=True)
class Exported:
    """A directory that was exported, and what it was exported from.

    Attributes:
        directory: with ``policy.h`` and ``policy.c``.
        manifest: of the directory.
        agent: that it was exported from.
        policy: the description of that agent.
    """

    directory: Path
    manifest: Manifest
    agent: Agent
    policy: Policy


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do on each target.

    Attributes:
        seeds: an episode of the closed loop for each.
        n_slow: how many of these a slow target plays.
        n_steps: steps of the open loop.
        n_counted: steps of it that are counted.
        max_steps: an episode that is so long is cut.
        timeout_s: how long an answer may take.
    """

    seeds: Sequence[int]
    n_slow: int
    n_steps: int = 1_000
    n_counted: int = 40
    max_steps: int = 100_000
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Expected:
    """A trace as ``predict`` lived it, what float64 makes of it, and the lengths of the episodes in closed loop."""

    trace: Trace
    actions: NDArray[Any]
    states: NDArray[Any]
    lengths: Sequence[int]


def prove(exported: Exported, env: Env, targets: Sequence[Target], plan: Plan, progress: Progress) -> Proof:
    """Prove a policy on targets; those whose tools are missing are left out and named.

    Args:
        env: that the agent was trained in; it has been adapted to it.

    Raises:
        VeloraError: if the policy can't be compiled, an emulator fails, or the environment does.
    """
    began = time.monotonic()
    present, absent = ([one for one in targets if bool(one.missing) is missing] for missing in (False, True))
    trace, returns, lengths = _live(exported.agent, env, plan, progress)
    progress.begin("float64", len(trace))
    expected = _Expected(trace, *episodes.follow(trace, exported.policy), lengths)
    manifest, units = exported.manifest, exported.policy.units
    proof = Proof(
        manifest.agent,
        manifest.cell,
        manifest.environment,
        manifest.digest,
        manifest.dtype,
        manifest.velora_version,
        max(np.subtract(units.high, units.low)) if isinstance(units, ActionBounds) else None,
        len(trace),
        min(plan.n_counted, len(trace)),
        list(plan.seeds),
        returns,
        Distance.between(trace.actions, expected.actions, trace.states, expected.states),
        left_out=[one.name for one in absent],
        install=installing(absent),
    )
    reference: NDArray[np.uint8] | None = None
    with tempfile.TemporaryDirectory(prefix="velora-proof-") as build:
        for target in present:
            on = _OnTarget(exported, target, plan, progress, Path(build))
            result, bits = on.prove(env, expected, reference)
            proof.targets.append(result)
            reference = bits if reference is None else reference
            progress.tell(result)
    proof.seconds = time.monotonic() - began
    return proof


def _live(agent: Agent, env: Env, plan: Plan, progress: Progress) -> tuple[Trace, list[float], list[int]]:
    """Let ``predict`` play the episodes of the closed loop, and record the first steps of them.

    Returns:
        The record, and the returns and lengths of the episodes.
    """
    progress.begin("predict", len(plan.seeds), "episode")
    recorder = episodes.Recorder(Predicting(agent), plan.n_steps)
    returns = []
    for seed in plan.seeds:
        returns += episodes.play(env, recorder, [seed], max_steps=plan.max_steps)
        progress.advance()
    lengths = list(recorder.lengths)
    while not recorder.is_full:
        seeds = plan.seeds or [0]
        episodes.play(env, recorder, seeds, max_steps=plan.max_steps, on_step=lambda: recorder.is_full)
    return recorder.trace(), returns, lengths


class _OnTarget:
    """The proof on one target."""

    def __init__(self, exported: Exported, target: Target, plan: Plan, progress: Progress, build: Path) -> None:
        self._exported, self._target, self._plan, self._progress, self._build = exported, target, plan, progress, build
        policy = exported.policy
        self._units = StateUnits.read(exported.directory, policy)
        self._layout = StateLayout.read(exported.directory / "policy.h", policy.n_state)
        self._sizes = Sizes(policy.n_observations, policy.n_actions, policy.is_discrete)

    def prove(
        self, env: Env, expected: _Expected, reference: NDArray[np.uint8] | None
    ) -> tuple[TargetResult, NDArray[np.uint8] | None]:
        """Do all of it; the bits of the open loop (T, n) are ``None`` where the policy doesn't fit the chip."""
        target, plan = self._target, self._plan
        result = TargetResult(target.name, target.machine, target.unit, target.clock_hz)
        self._progress.begin(f"{target.name}: compile and count", 1)
        try:
            made = firmware.compile_for(target, self._exported.directory, self._build)
        except firmware.DoesNotFitError as error:
            result.failure = f"doesn't fit: {error}"
            return result, None
        result.flash_bytes, result.ram_bytes = made.flash_bytes, made.ram_bytes
        result.selftest = selftest(target.name, made.selftest, timeout_s=plan.timeout_s)
        if target.unit:
            with self._machine((*made.command, *made.counting)) as machine:
                self._count(machine, expected.trace, result)
        with self._machine(made.command) as machine:
            bits = self._open_loop(machine, expected, result)
            if reference is not None:
                _compare_bits(bits, reference, result)
            self._closed_loop(machine, env, expected.lengths, result)
        return result, bits

    def _machine(self, command: Sequence[str]) -> Machine:
        return Machine(self._target.name, command, self._sizes, timeout_s=self._plan.timeout_s)

    def _count(self, machine: Machine, trace: Trace, result: TargetResult) -> None:
        """Count the first steps of the trace."""
        requests = _requests(machine, trace)[: self._plan.n_counted]
        requests["flags"] |= MEASURE
        answers = machine.ask(requests)
        counted = (answers["ticks"].astype(float) - machine.overhead) * machine.units_per_tick
        result.per_step, result.most_per_step = float(counted.mean()), float(counted.max())
        result.stack_bytes, result.state_bytes = int(answers["stack"].max()), machine.state_bytes

    def _open_loop(self, machine: Machine, expected: _Expected, result: TargetResult) -> NDArray[np.uint8]:
        """Let the machine follow the trace with a state of its own."""
        trace = expected.trace
        requests, answers = _requests(machine, trace), []
        self._progress.begin(f"{self._target.name}: open loop", len(trace), "step")
        for at in range(0, len(trace), 25):
            answers.append(machine.ask(requests[at : at + 25]))
            self._progress.advance(len(answers[-1]))
        answered = np.concatenate(answers)
        states = self._units.of(self._layout.numbers(answered["state"]))
        result.state_bytes = machine.state_bytes
        result.against_float64 = Distance.between(answered["action"], expected.actions, states, expected.states)
        result.against_predict = Distance.between(answered["action"], trace.actions, states, trace.states)
        return np.concatenate((answered["action"].copy().view("u1"), self._layout.bits(answered["state"])), 1)

    def _closed_loop(self, machine: Machine, env: Env, lengths: Sequence[int], result: TargetResult) -> None:
        """Let the machine steer the environment."""
        plan, controller = self._plan, _Steering(machine)
        seeds = plan.seeds[: plan.n_slow] if self._target.is_slow else plan.seeds
        self._progress.begin(f"{self._target.name}: closed loop", sum(lengths[: len(seeds)]), "step")
        began = time.monotonic()
        on_step = self._progress.advance
        result.returns = episodes.play(env, controller, seeds, max_steps=plan.max_steps, on_step=on_step)
        if seeds:
            result.steps_per_s = controller.n_steps / max(time.monotonic() - began, 1e-9)


class _Steering:
    """A machine as a controller."""

    def __init__(self, machine: Machine) -> None:
        self._machine, self._request = machine, machine.requests(1)
        self.n_steps = 0

    def act(self, obs: Array, dt: float, *, begins: bool) -> NDArray[Any]:
        """See :class:`velora.proof.episodes.Controller`."""
        request = self._request
        request["flags"], request["dt"], request["obs"] = RESET if begins else 0, dt, obs
        self.n_steps += 1
        action: NDArray[Any] = self._machine.ask(request)["action"][0]
        return action


def _requests(machine: Machine, trace: Trace) -> NDArray[Any]:
    requests = machine.requests(len(trace))
    requests["flags"], requests["dt"], requests["obs"] = np.where(trace.begins, RESET, 0), trace.dt, trace.obs
    return requests


def _compare_bits(bits: NDArray[np.uint8], reference: NDArray[np.uint8], result: TargetResult) -> None:
    """Find the first step whose action or state has other bits (T, n) than the reference."""
    differs = (bits != reference).any(1)
    result.same_bits = not differs.any()
    result.differs_at = None if result.same_bits else int(differs.argmax())
