"""The temperature, which weighs the entropy of a stochastic policy and is learned with it."""

from __future__ import annotations

import math

from torch import Tensor

from velora.models.agent import Agent
from velora.nn.parameters import Scalar


def make_temperature(agent: Agent) -> Scalar:
    """Make the logarithm of the temperature, the network ``"temperature"`` of an agent."""
    return Scalar(agent.n_seeds, math.log(agent.settings.initial_temperature))


def learn_temperature(agent: Agent, entropy: Tensor, *, target: float) -> dict[str, Tensor]:
    """Make one update of the temperature.

    Shapes:
        entropy: (S,), of the policy in the batch, in nats.
        returns: metrics of shape (S,).

    Args:
        target: entropy that the policy is steered to.
    """
    ops, temperature = agent.learner.backend, agent.learner.flats["temperature"]
    made = ops.temperature(temperature.values, entropy, target=target)
    assert temperature.gradient is not None
    into = temperature.gradient
    agent.optimize("temperature", made.loss, lambda: ops.copy(made.gradient, into))
    return {"actor/entropy": entropy, "temperature/loss": made.loss, "temperature/value": made.temperature}
