"""Build the networks of agents from their settings: liquid policies, and the critics beside them."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from velora.core import seeding
from velora.models.agent import Agent
from velora.nn.cells import make_cell
from velora.nn.cells.base import Cell
from velora.nn.cells.factory import make_layer
from velora.nn.networks.critics import LiquidQNetwork, QNetwork, RecurrentCritic, ValueNetwork
from velora.nn.networks.images import ImageEncoder, ImageNetwork
from velora.nn.networks.policies import LiquidActor, LiquidHead
from velora.nn.run.network import Unrollable
from velora.nn.wiring import NCPWiring
from velora.nn.wiring.kinds import make_wiring

BYTES = (0.0, 255.0)
"""Least and largest value of a pixel that is a byte."""


def make_actor(agent: Agent) -> nn.Module:
    """Build a policy whose motor neurons are the actions; each seed draws its own wiring and weights."""
    return _seeing(agent, "actor", LiquidActor(_make_cell(agent, agent.init_generators("actor"))))


def make_head(agent: Agent, n_outputs: int, *, gain: float = 1.0, log_std: float | None = None) -> nn.Module:
    """Build a policy whose outputs are read off all its neurons; each seed draws its own wiring and weights."""
    generators = agent.init_generators("actor")
    head = LiquidHead(_make_cell(agent, generators), n_outputs, generators, gain=gain, log_std=log_std)
    return _seeing(agent, "actor", head)


def _seeing(agent: Agent, name: str, network: Unrollable) -> nn.Module:
    """Put an encoder before a network where observations are images; each seed draws its own weights."""
    s = agent.settings
    if s.image is None:
        return cast(nn.Module, network)
    generators = agent.init_generators(f"{name} encoder")
    return ImageNetwork(network, ImageEncoder(s.image, s.image_range or BYTES, generators=generators))


def _judging(agent: Agent, name: str, critic: Unrollable) -> nn.Module:
    """Do the same for a critic, which looks at no image where it reads privileged numbers."""
    return cast(nn.Module, critic) if agent.privileged else _seeing(agent, name, critic)


def _make_cell(agent: Agent, generators: list[torch.Generator]) -> Cell:
    s = agent.settings
    wirings = draw_wirings(agent, "wiring", agent.n_features, s.action_dim)
    agent.wirings["actor"] = wirings[0].describe()
    return make_cell(s.cell, wirings, generators, mode=s.cell_mode, mixed_memory=s.mixed_memory)


def make_value(agent: Agent, name: str = "critic", *, n_values: int = 1) -> nn.Module:
    """Build a critic of observations, privileged ones where there are any, as the setting ``critic`` says.

    Args:
        name: of the network; critics of different names start differently.
        n_values: what it says of an observation: one number, or one for each choice there.
    """
    s, generators, inputs = agent.settings, agent.init_generators(name), agent.n_critic_features
    if s.critic == "dense":
        return _judging(agent, name, ValueNetwork(inputs, n_values, units=s.critic_units, generators=generators))
    if s.critic == "recurrent":
        return _judging(agent, name, _make_recurrent(agent, inputs, generators, n_values))
    return _judging(agent, name, _make_liquid(agent, name, inputs, generators, n_values))


def make_critic(agent: Agent, name: str = "critic") -> nn.Module:
    """Build a critic of observation, privileged too, and action, as the setting ``critic`` says.

    Args:
        name: of the network; critics of different names start differently.
    """
    s, generators, inputs = agent.settings, agent.init_generators(name), agent.n_critic_features
    if s.critic == "dense":
        return _judging(agent, name, QNetwork(inputs, s.action_dim, units=s.critic_units, generators=generators))
    if s.critic == "recurrent":
        return _judging(agent, name, _make_recurrent(agent, inputs + s.action_dim, generators, 1))
    return _judging(agent, name, _make_liquid(agent, name, inputs + s.action_dim, generators, 1))


def _make_liquid(
    agent: Agent, name: str, inputs: int, generators: list[torch.Generator], n_values: int
) -> LiquidQNetwork:
    wirings = draw_wirings(agent, f"{name} wiring", inputs, n_values)
    agent.wirings[name] = wirings[0].describe()
    return LiquidQNetwork(make_cell("cfc", wirings, generators), generators, n_values)


def _make_recurrent(agent: Agent, inputs: int, generators: list[torch.Generator], n_values: int) -> RecurrentCritic:
    s = agent.settings
    kind, mode = ("cfc", "default") if s.cell == "ltc" else (s.cell, s.cell_mode)
    first, *rest = s.critic_units
    return RecurrentCritic(make_layer(kind, inputs, first, generators, mode=mode), rest, generators, n_values)


def draw_wirings(agent: Agent, purpose: str, inputs: int, outputs: int) -> list[NCPWiring]:
    """Draw every seed's wiring of a circuit with the agent's number of neurons."""
    s = agent.settings
    size = inputs, s.n_neurons + outputs, outputs
    return [
        make_wiring(s.wiring, *size, sparsity=s.sparsity, seed=seeding.derive(seed, purpose) >> 31)
        for seed in agent.seeds
    ]
