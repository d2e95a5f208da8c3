"""Describe an agent's policy for export."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import softplus

from velora.checkpoint import Checkpoint
from velora.core.errors import ExportError
from velora.core.version import __version__
from velora.envs.actions import ActionBounds, DiscreteActions
from velora.envs.said import unsaid
from velora.export.policy import Floats, Layer, Normalisation, Origin, Policy, Readout
from velora.kernels import plan as plans
from velora.kernels.layers import Kind
from velora.kernels.plan import Plan, ReadoutKind
from velora.models.agent import Agent
from velora.models.standardising import MOST
from velora.nn.cells.ltc import EPSILON
from velora.nn.flat import FlatParameters
from velora.ops.choice import Choice


def describe(agent: Agent, checkpoint: Checkpoint | None = None) -> Policy:
    """Describe what an agent does when it acts greedily, as ``predict`` does.

    Args:
        agent: of one seed.
        checkpoint: where it was loaded from, for the description's origin.

    Raises:
        ExportError: if it holds several seeds, sees images, or is built on something that has no description: a
            backbone, a cell or an exploration of one's own.
    """
    settings = agent.settings
    if agent.n_seeds > 1:
        raise ExportError(f"export: this agent holds {agent.n_seeds} seeds; choose one with agent.seed(k)")
    if agent.sees_images:
        raise ExportError("export: this agent sees images, and the encoder before its cell can't be exported")
    plan = agent.actor.plan()
    if plan is None:
        raise ExportError(f"export: the cell {settings.cell} can't be exported; expected one of Velora's, no backbone")
    choice, units = getattr(agent.exploration, "choice", None), agent.bounds
    if not (isinstance(choice, Choice) and isinstance(units, ActionBounds | DiscreteActions)):
        raise ExportError(f"export: {type(agent).__name__} chooses its actions in a way of its own, without a choice")
    agent.learner.held.look_at("actor")
    numbers = _Numbers(agent.learner.flats["actor"])
    return Policy(
        n_observations=int(settings.state_dim),
        n_state=agent.state_size,
        layers=tuple(_layer(numbers, one) for one in plan.layers),
        readout=_readout(numbers, plan, choice, int(settings.action_dim)),
        choice=choice,
        units=units,
        origin=_origin(agent, checkpoint),
        normalisation=_normalisation(agent),
        reads_log_dt=agent.sees_time,
        tells_time=agent.learner.tells_time,
    )


class _Numbers:
    """The parameters of an actor, by where they begin."""

    def __init__(self, flat: FlatParameters) -> None:
        self._values = flat.values[0].detach().to("cpu", torch.float64)
        mask = torch.ones_like(self._values) if flat.mask is None else flat.mask[0].detach().to("cpu", torch.float64)
        self._mask, self._shapes = mask, {at: tuple(shape) for at, _, shape in flat.places.values()}

    def _part(self, whole: torch.Tensor, at: int) -> torch.Tensor:
        shape = self._shapes[at]
        return whole[at : at + int(np.prod(shape))].view(shape)

    def exact(self, at: int) -> torch.Tensor:
        """Return a parameter in float64, what is masked as zero."""
        return self._part(self._values * self._mask, at)

    def positive(self, at: int) -> torch.Tensor:
        """Return softplus of a parameter in float64, what is masked as zero."""
        return self._part(softplus(self._values) * self._mask, at)

    def floats(self, at: int) -> Floats:
        """Return a parameter in float32."""
        return _floats(self.exact(at))


def _floats(values: torch.Tensor) -> Floats:
    numbers: Floats = values.to(torch.float32).numpy().copy()
    return numbers


def _layer(numbers: _Numbers, layer: plans.Layer) -> Layer:
    at = dict(zip(layer.kind.value.tensors, layer.at, strict=True))
    if layer.kind is Kind.LTC:
        same = ("vleak", "sigma", "mu", "erev", "sensory_sigma", "sensory_mu", "sensory_erev", "input_w", "input_b")
        tensors = {name: numbers.floats(at[name]) for name in same}
        positive = {"leak": "gleak", "strength": "w", "sensory_strength": "sensory_w"}
        tensors |= {name: _floats(numbers.positive(at[source])) for name, source in positive.items()}
        tensors["capacity"] = _floats(numbers.positive(at["cm"]) + EPSILON)
    else:
        tensors = {name: numbers.floats(place) for name, place in at.items()}
    return Layer(layer.kind, layer.n_in, layer.n, layer.state_at, tensors, layer.unfolds)


def _readout(numbers: _Numbers, plan: Plan, choice: Choice, n_actions: int) -> Readout:
    """Describe the readout; the deviations that a stochastic policy puts out after its means are left out."""
    read = plan.readout
    if read.kind is ReadoutKind.SLICE:
        return Readout(read.kind, read.state_at, read.n_in, read.n_out, squash=read.squash)
    weight, bias = numbers.floats(read.weight), numbers.floats(read.bias)
    n_out = read.n_out
    if choice is Choice.TANH:
        weight, bias, n_out = weight[:n_actions], bias[:n_actions], n_actions
    return Readout(read.kind, read.state_at, read.n_in, n_out, weight, bias, squash=read.squash)


def _normalisation(agent: Agent) -> Normalisation | None:
    if agent.normaliser is None or (applied := agent.normaliser.applied) is None:
        return None
    mean, factor = (part[0].astype(np.float32) for part in applied)
    return Normalisation(mean, factor, MOST)


def _origin(agent: Agent, checkpoint: Checkpoint | None) -> Origin:
    settings, environment = agent.settings, agent.environment or {}
    words = [settings.cell, *([settings.cell_mode] if settings.cell_mode != "default" else [])]
    words += ["with mixed memory"] if settings.mixed_memory else []
    return Origin(
        agent=type(agent).__name__,
        cell=" ".join(words),
        environment=str(environment.get("id", "")),
        digest="" if checkpoint is None else checkpoint.digest,
        velora_version=__version__,
        wrappers=tuple(environment.get("wrappers", ())),
        missing=tuple(unsaid(environment)),
    )
