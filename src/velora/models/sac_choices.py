"""The update of a soft actor-critic that chooses from a number of actions, and so knows every expectation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from velora.buffers import Batch
from velora.models.agent import Agent
from velora.models.recurrence import choice_values, learned_choice_values, next_actions, next_choice_values
from velora.ops.losses import mean_gradient
from velora.ops.policies import Categorical


def learn_choices(agent: Agent, batch: Batch, critics: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    """Make one update of two critics and an actor.

    Shapes:
        batch: (S, B, burn_in + sequence_length, ...).
        returns: metrics, and the entropy of the policy in nats, all (S,).

    Source:
        Christodoulou 2019 (arXiv 1910.07207), algorithm 1, equations 10 and 12.
    """
    s, run, ops = agent.settings, agent.learner.networks, agent.learner.backend
    temperature = agent.learner.flats["temperature"].values.exp()

    following = Categorical(next_actions(run["actor"], batch))
    next_q = torch.minimum(*(next_choice_values(run[f"target_{name}"], batch) for name in critics))
    next_value = following.soft_value(next_q, temperature)
    y = ops.td_target(batch.reward, batch.terminated, next_value, batch.next_dt, gamma=s.gamma, scale=s.reward_scale)

    metrics: dict[str, Tensor] = {}
    chosen = batch.action.long()
    for name in critics:
        q, pull_critic = learned_choice_values(run[name], batch)
        loss = ops.squared_error(q.gather(3, chosen).squeeze(3), y, skip=s.burn_in)
        d_q = torch.zeros_like(q).scatter_(3, chosen, loss.gradient.unsqueeze(3))
        agent.optimize(name, loss.loss, partial(pull_critic.parameters, d_q))
        metrics |= {f"{name}/loss": loss.loss, f"{name}/q": loss.mean}

    out, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
    pi = Categorical(out)
    q = torch.minimum(*(choice_values(run[name], batch) for name in critics))
    value = pi.soft_value(q, temperature)
    actor_loss = ops.mean(value, factor=-1.0, skip=s.burn_in)
    d_out = pi.soft_value_gradient(q, temperature, mean_gradient(value, factor=-1.0, skip=s.burn_in))
    agent.optimize("actor", actor_loss, partial(pull_actor.parameters, d_out))
    return metrics | {"actor/loss": actor_loss}, ops.mean(pi.entropy(), factor=1.0, skip=s.burn_in)
