"""Map an agent to the files of a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from velora.buffers import Buffer
from velora.checkpoint import Checkpoint
from velora.checkpoint.contents import Contents
from velora.checkpoint.open_header import Expected
from velora.checkpoint.schema import Part
from velora.core.errors import CheckpointError, SettingError, ShapeError, SpaceError
from velora.core.types import Counters
from velora.envs.said import without_statistics
from velora.models import optimizers
from velora.models.normalisation import find_fault
from velora.models.options import REQUIRED, plain
from velora.models.parts import AgentParts

OptimizerState: TypeAlias = dict[str, Tensor]
"""``<network>.<parameter>.<key>`` to tensor, as ``optim_state.safetensors`` holds it."""
TrainState: TypeAlias = tuple[dict[str, Any], Mapping[str, Tensor]]
"""The JSON and the tensors of an exact resume."""
_NORMALISER = "normaliser."


def gather(
    agent: AgentParts,
    *,
    seed_index: int = 0,
    buffer: bool,
    config: bool,
    train_state: TrainState | None = None,
    copy: bool = False,
) -> Contents:
    """Gather what a checkpoint of one seed holds: live tensors, or, where memory has room for them, copies."""
    agent.learner.held.take_over()
    k = slice(seed_index, seed_index + 1)
    optim_state = agent.learner.optimizer_state(seed_index)
    settings = agent.settings_dict()
    fields: dict[str, Any] = {
        "agent": agent.key,
        "seed": agent.seeds[seed_index],
        "settings": settings,
        "optimizers": {
            name: {"kind": settings["optimizer"], "lr": rate, "has_state": _has_state(name, optim_state)}
            for name, rate in agent.learning_rates().items()
        },
        "environment": _environment(agent),
        "device": str(agent.device),
        "progress": asdict(agent.progress[seed_index]),
    }
    tensors: dict[Part, Mapping[str, Tensor]] = {
        "model_state": {n: t[k] for n, t in model_tensors(agent).items()},
        "optim_state": optim_state,
    }
    if buffer:
        stored = agent.buffer.state_dict(seed_index)
        fields["buffer"] = {"capacity": agent.buffer.capacity, **stored.pop("counters")}
        tensors["buffer_state"] = stored
    if train_state is not None:
        fields["train_state"], tensors["train_state"] = train_state
    lived = fields["environment"]
    overview = {**agent.summary(), "environment": lived and without_statistics(lived)} if config else None
    contents = Contents(fields, tensors, overview)
    return _copied(agent, contents, seed_index) if copy and contents.fits_twice else contents


def _copied(agent: AgentParts, contents: Contents, seed_index: int) -> Contents:
    """Copy what training changes; a train state is a copy already."""
    done: dict[Part, Mapping[str, Tensor]] = {n: p for n, p in contents.tensors.items() if n == "train_state"}
    if "buffer_state" not in contents.tensors:
        return contents.copy(done)
    rows, finish = agent.buffer.begin_copy(seed_index)
    return contents.copy({**done, "buffer_state": {"rows": rows}}, finish=finish)


def read(agent: AgentParts, checkpoint: Checkpoint, *, buffer: bool, seed_index: int = 0) -> None:
    """Fill one position of an agent's seed axis from a checkpoint.

    Raises:
        CheckpointError: if a tensor is missing or doesn't fit, or a buffer was asked for that isn't there.
        SettingError: if a network was changed before in a way that Velora can't compute with.
    """
    metadata = checkpoint.metadata
    if buffer:
        _check_has_buffer(checkpoint)
    k = slice(seed_index, seed_index + 1)
    agent.learner.held.take_over()
    _check_structure(agent, checkpoint)
    live = {name: tensor[k] for name, tensor in model_tensors(agent).items()}
    model_state = checkpoint.read("model_state", expect=_shapes(live))
    if fault := find_fault({n: t for n, t in model_state.items() if n.startswith(_NORMALISER)}):
        raise CheckpointError(f"{checkpoint.path}: model_state: {fault}; load another checkpoint")
    optim_state = checkpoint.read("optim_state", expect=_expected_optimizer_state(agent, checkpoint))
    if fault := optimizers.find_fault(optim_state):
        raise CheckpointError(f"{checkpoint.path}: optim_state: {fault}; load another checkpoint")
    if buffer:
        read_buffer(_allocated(agent, checkpoint), checkpoint, seed_index, n_choices=_n_choices(agent))
    with torch.no_grad():
        for name, tensor in model_state.items():
            live[name].copy_(tensor)
    _take_over(agent)
    agent.learner.load_optimizer_state(optim_state, seed_index)
    agent.seeds = (*agent.seeds[:seed_index], metadata.seed, *agent.seeds[seed_index + 1 :])
    agent.progress[seed_index] = Counters(**metadata.progress.model_dump())
    if metadata.environment is not None:
        _read_environment(agent, checkpoint)


def copy_seed(agent: AgentParts, index: int, alone: AgentParts) -> None:
    """Fill a freshly built agent of one seed with what another agent has learned at one position of its seed axis."""
    agent.learner.held.take_over()
    own = slice(index, index + 1)
    source = model_tensors(agent)
    for name, tensor in model_tensors(alone).items():
        tensor.copy_(source[name][own])
    _take_over(alone)
    alone.learner.load_optimizer_state({n: t.clone() for n, t in agent.learner.optimizer_state(index).items()}, 0)
    alone.environment, alone.bounds = agent.environment, agent.bounds
    alone.progress[0] = replace(agent.progress[index])


def differences(saved: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """List the settings that differ from the saved ones, a line each."""
    return [
        f"{name} was {saved.get(name)!r}, goes on as {value!r}"
        for name, value in given.items()
        if name in saved and saved[name] != value
    ]


def model_tensors(agent: AgentParts) -> dict[str, Tensor]:
    """Name every parameter and buffer, ``<network>.<parameter>``, and what normalises; they are the live ones."""
    named = {
        f"{net}.{name}": t for net, module in agent.learner.modules.items() for name, t in module.state_dict().items()
    }
    statistics = {} if agent.normaliser is None else agent.normaliser.tensors()
    return named | {_NORMALISER + name: tensor for name, tensor in statistics.items()}


def _take_over(agent: AgentParts) -> None:
    """Follow what was written into the tensors of an agent."""
    agent.learner.held.take_over()
    if agent.normaliser is not None:
        agent.normaliser.refresh()


def _check_structure(agent: AgentParts, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose weights would mean something else under the settings of this agent."""
    given, saved = agent.settings_dict(), checkpoint.metadata.settings
    for one in agent.settings_type.options():
        if not one.structural or (one.default is REQUIRED and one.name not in saved):
            continue
        before, now = saved.get(one.name, one.default), given[one.name]
        if plain(before) != plain(now):
            raise CheckpointError(
                f"{checkpoint.path}: of an agent with {one.name}={before}, got one with {one.name}={now}; make it with "
                f"{one.name}={before}"
            )


def _expected_optimizer_state(agent: AgentParts, checkpoint: Checkpoint) -> Expected:
    kind, expected = agent.optimizer_kind, dict[str, tuple[tuple[int, ...], torch.dtype]]()
    for net in agent.learning_rates():
        saved = checkpoint.metadata.optimizers.get(net)
        if saved is None:
            raise CheckpointError(f"{checkpoint.path}: the optimizer of {net!r} is missing")
        if saved.get("has_state") is not True:
            continue
        for name, parameter in agent.learner.modules[net].named_parameters():
            if kind.counts_steps:
                expected[f"{net}.{name}.step"] = (), torch.float32
            shape = 1, *parameter.shape[1:]
            expected |= {f"{net}.{name}.{key}": (shape, parameter.dtype) for key in kind.state}
    return expected


def _has_state(net: str, state: OptimizerState) -> bool:
    return any(name.startswith(f"{net}.") for name in state)


def _shapes(tensors: Mapping[str, Tensor]) -> Expected:
    return {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()}


def _check_has_buffer(checkpoint: Checkpoint) -> dict[str, Any]:
    if checkpoint.metadata.buffer is None:
        raise CheckpointError(
            f"{checkpoint.path}: saved without a replay buffer; load it with buffer=False, or save with buffer=True"
        )
    return dict(checkpoint.metadata.buffer)


def _allocated(agent: AgentParts, checkpoint: Checkpoint) -> Buffer:
    """Return the agent's buffer, if there is memory for it."""
    try:
        return agent.buffer
    except SettingError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}; load it with buffer=False") from error


def _n_choices(agent: AgentParts) -> int | None:
    return int(agent.settings.action_dim) if agent.discrete else None


def read_buffer(buffer: Buffer, checkpoint: Checkpoint, seed_index: int = 0, *, n_choices: int | None = None) -> None:
    """Fill one seed of a buffer from a checkpoint.

    Args:
        n_choices: how many discrete actions there are; ``None`` where actions are numbers.

    Raises:
        CheckpointError: if there is no buffer, one that doesn't fit, or one that nothing can have filled.
    """
    info = _check_has_buffer(checkpoint)
    if info.keys() != {"capacity", "size", "position"}:
        raise CheckpointError(f"{checkpoint.path}: buffer: expected capacity, size and position, got {sorted(info)}")
    size, position, capacity = int(info["size"]), int(info["position"]), int(info["capacity"])
    if size < capacity and position != size:
        raise CheckpointError(
            f"{checkpoint.path}: buffer: expected position {size}, where {size} rows of {capacity} end, got {position}"
        )
    rows = checkpoint.read("buffer_state", expect={"rows": buffer.saved_rows(size)})["rows"]
    if fault := buffer.find_fault(rows, n_choices=n_choices):
        raise CheckpointError(f"{checkpoint.path}: buffer_state: {fault}; load another checkpoint")
    try:
        buffer.load_state_dict(rows, position=position, size=size, seed_index=seed_index)
    except ShapeError as error:
        raise CheckpointError(f"{checkpoint.path}: {error}") from error


def _environment(agent: AgentParts) -> dict[str, Any] | None:
    if agent.environment is None:
        return None
    return {**agent.environment, **agent.bounds.describe()}


def _read_environment(agent: AgentParts, checkpoint: Checkpoint) -> None:
    info = dict(checkpoint.metadata.environment or {})
    try:
        agent.bounds = agent.bounds.read(info)
    except SpaceError as error:
        raise CheckpointError(f"{checkpoint.path}: environment: {error}") from error
    agent.environment = info
