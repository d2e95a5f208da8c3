"""Copies of an agent: in memory by ``copy.deepcopy``, or to another process by ``pickle``."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from velora.core.autograd import as_by_default
from velora.core.types import Array, Counters
from velora.models import idle
from velora.models.checkpoint_contents import model_tensors
from velora.models.parts import AgentParts
from velora.nn.cells.registry import find_row, register_cell

Arrays: TypeAlias = dict[str, Array]
State: TypeAlias = dict[str, Any]
"""All that an agent is, as numbers, text and arrays."""

_DATA: Final = (
    bool, int, float, complex, str, bytes, type(None), np.generic, np.ndarray, np.random.Generator, torch.Generator,
)  # fmt: skip
_PARTS: Final = frozenset(
    {"settings", "optimizer_kind", "seeds", "device", "kernel", "learner", "experience", "exploration", "draws",
     "normaliser", "environment", "bounds", "progress", "hooks", "tuning"}
)  # fmt: skip
"""Attributes that a constructor makes, and that are filled from the state."""


def state_of(agent: Any) -> State:
    """Take an agent apart; the arrays share memory with it.

    What is in it is what a checkpoint of every seed holds, with the replay buffer if there is one, and besides what
    people may have set: learning rates, and what is frozen.
    """
    agent.learner.held.take_over()
    seeds = range(agent.n_seeds)
    buffer = agent.experience.buffer if "buffer" in vars(agent.experience) else None
    return {
        "settings": agent.settings.model_dump(),
        "cell": row.kind if (row := find_row(agent.settings.cell)) else None,
        "device": str(agent.device),
        "kernel": agent.kernel,
        "seeds": agent.seeds,
        "tensors": _arrays(model_tensors(agent)),
        "optimizers": [_arrays(agent.learner.optimizer_state(k)) for k in seeds],
        "groups": {name: _group(optimizer.param_groups[0]) for name, optimizer in agent.learner.optimizers.items()},
        "frozen": [f"{net}.{name}" for net, name, p in _parameters(agent) if not p.requires_grad],
        "buffer": None if buffer is None else [_rows(buffer.state_dict(k)) for k in seeds],
        "progress": [asdict(lived) for lived in agent.progress],
        "training": [agent.training_state(k) for k in seeds],
        "generators": [agent.generators(k) for k in seeds],
        "environment": agent.environment,
        "bounds": agent.bounds,
    }


@as_by_default()
def made_from(cls: type[Any], state: State) -> Any:
    """Make an agent of such a state; nothing of it is shared.

    Raises:
        SettingError: if its device or its kernel isn't there.
    """
    agent = _blank(cls, state)
    tensors = model_tensors(agent)
    for name, values in state["tensors"].items():
        tensors[name].copy_(torch.from_numpy(values))
    agent.learner.held.take_over()
    if agent.normaliser is not None:
        agent.normaliser.refresh()
    for k, values in enumerate(state["optimizers"]):
        agent.learner.load_optimizer_state({name: torch.from_numpy(np.array(v)) for name, v in values.items()}, k)
    if state["groups"]:
        for name, group in state["groups"].items():
            agent.optimizers[name].param_groups[0].update(group)
    for net, name, parameter in _parameters(agent):
        parameter.requires_grad_(f"{net}.{name}" not in state["frozen"])
    for k, (rows, counters) in enumerate(state["buffer"] or ()):
        agent.buffer.load_state_dict(torch.from_numpy(rows), **counters, seed_index=k)
    for k, lived in enumerate(state["progress"]):
        agent.progress[k] = Counters(**lived)
    for k, kept in enumerate(state["training"]):
        agent.load_training_state(copy.deepcopy(kept), k)
    for k, generators in enumerate(state["generators"]):
        for name, generator in agent.generators(k).items():
            generator.bit_generator.state = generators[name].bit_generator.state
    agent.environment, agent.bounds = copy.deepcopy(state["environment"]), state["bounds"]
    return agent


def _blank(cls: type[Any], state: State) -> Any:
    if state["cell"] is not None:  # which pickle has imported
        register_cell(state["cell"])
    seeds = {"seed": state["seeds"][0]} if len(state["seeds"]) == 1 else {"seeds": state["seeds"]}
    with idle.taken_over(is_known=True):
        return cls(**state["settings"], device=state["device"], kernel=state["kernel"], **seeds)


def own_attributes(agent: AgentParts, state: State) -> dict[str, Any]:
    """Take what was set on an agent besides its parts: data, and whatever its constructor doesn't set.

    What else a constructor sets, it makes of the parts, and makes anew for a copy.
    """
    made = vars(_blank(type(agent), state))
    own = {name: value for name, value in vars(agent).items() if name not in _PARTS}
    return {name: value for name, value in own.items() if name not in made or _is_data(value)}


def correspondence(agent: AgentParts, other: AgentParts) -> dict[int, Any]:
    """Map the parts of an agent, by their id, to those of its copy, as a memo of ``deepcopy``."""
    own, others = agent.learner.modules, other.learner.modules
    memo: dict[int, Any] = {id(agent): other, id(agent.learner): other.learner, id(own): others}
    for name in ("experience", "exploration", "draws", "normaliser"):
        memo[id(getattr(agent, name))] = getattr(other, name)
    for name, network in own.items():
        memo |= {id(a): b for a, b in zip(network.modules(), others[name].modules(), strict=True)}
        memo |= {id(a): b for a, b in zip(network.parameters(), others[name].parameters(), strict=True)}
    memo.pop(id(None), None)
    return memo


def _parameters(agent: AgentParts) -> Iterator[tuple[str, str, nn.Parameter]]:
    for net, module in agent.learner.modules.items():
        for name, parameter in module.named_parameters():
            yield net, name, parameter


def _is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_data(key) and _is_data(entry) for key, entry in value.items())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return all(map(_is_data, value))
    return isinstance(value, _DATA)


def _arrays(tensors: Mapping[str, Tensor]) -> Arrays:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _rows(stored: dict[str, Any]) -> tuple[Array, dict[str, int]]:
    return stored["rows"].cpu().numpy(), stored["counters"]


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}
