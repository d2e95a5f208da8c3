"""Run policies and critics over replayed windows, with the recurrent states that acting would go through.

A critic without memory values each step by itself. One with memory reads the observations and actions of a window from
its first step on, with a state of zeros before it, and values an action that isn't the stored one by a step aside:
from the state before that step, which the stored past has led to. Critics read ``critic_obs``, which may hold more than
the policy sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from velora.buffers import Batch, Rollout
from velora.kernels.backend import Backend
from velora.nn.run.network import Network, Pullback


def next_actions(actor: Network, batch: Batch) -> Tensor:
    """Act on every ``next_obs`` of a window, from the state that the same network has reached there.

    The network is unrolled over ``obs`` and makes one step aside at every ``next_obs``, so that a window may run over
    the end of an episode: the step aside sees the last observation, the unroll begins the next episode afresh.

    Shapes:
        batch: (S, B, T, ...).
        returns: (S, B, T, K), what the actor puts out.
    """
    return _step_aside(actor, batch, batch.obs, batch.next_obs, batch.hidden)


def _step_aside(network: Network, batch: Batch, obs: Tensor, next_obs: Tensor, hidden: Tensor | None) -> Tensor:
    states = network.run(obs, hidden=hidden, dt=batch.dt, resets=batch.start, wants=("states",)).states
    assert states is not None
    out = network.run(_each(next_obs), hidden=states.flatten(1, 2), dt=_each(batch.next_dt)).out
    assert out is not None
    return out.view(*batch.reward.shape, -1)


def stored_values(critic: Network, batch: Batch) -> tuple[Tensor, Pullback]:
    """Value the stored actions, (S, B, T, 1), with what carries a gradient back."""
    return critic.vjp(batch.critic_obs, batch.action, **_times(critic, batch))


def next_values(critic: Network, batch: Batch, action: Tensor) -> Tensor:
    """Value an action (S, B, T, A) at every ``next_obs``: (S, B, T)."""
    if not critic.has_memory:
        out = critic.run(batch.next_critic_obs, action).out
    else:
        hidden = _states(critic, batch).flatten(1, 2)
        out = critic.run(_each(batch.next_critic_obs), _each(action), hidden=hidden, dt=_each(batch.next_dt)).out
    assert out is not None
    return out.view(batch.reward.shape)


def policy_values(
    critic: Network, batch: Batch, action: Tensor, math: Backend
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Value a policy's actions (S, B, T, A) instead of the stored ones.

    Returns:
        The values (S, B, T), and what turns a gradient of them, (S, B, T), into that of the actions (S, B, T, A).
    """
    if not critic.has_memory:
        value, pull = critic.vjp(batch.critic_obs, action)
        return value.squeeze(3), lambda d: pull.source(1, d.unsqueeze(3))
    hidden = math.before(_states(critic, batch)).flatten(1, 2)
    value, pull = critic.vjp(
        _each(batch.critic_obs), _each(action), hidden=hidden, dt=_each(batch.dt), resets=_each(batch.start)
    )
    return value.view(batch.reward.shape), lambda d: pull.source(1, _each(d.unsqueeze(3))).view(action.shape)


def choice_values(critic: Network, batch: Batch) -> Tensor:
    """Value every choice at every ``obs``: (S, B, T, K)."""
    out = critic.run(batch.critic_obs, **_times(critic, batch)).out
    assert out is not None
    return out


def learned_choice_values(critic: Network, batch: Batch) -> tuple[Tensor, Pullback]:
    """Do the same, and return what carries a gradient back."""
    return critic.vjp(batch.critic_obs, **_times(critic, batch))


def next_choice_values(critic: Network, batch: Batch) -> Tensor:
    """Value every choice at every ``next_obs``: (S, B, T, K)."""
    if critic.has_memory:
        return _step_aside(critic, batch, batch.critic_obs, batch.next_critic_obs, None)
    out = critic.run(batch.next_critic_obs).out
    assert out is not None
    return out


def rollout_values(critic: Network, rollout: Rollout, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value every observation of a rollout, and each that followed by a step aside.

    Shapes:
        rollout: (S, B, T, ...).
        hidden: (S, B, H), the critic's state before the first step; H is 0 without memory.
        returns: values and values of ``next_obs``, (S, B, T); the critic's states before the first step and after every
            one, (S, B, T + 1, H).
    """
    if not critic.has_memory:
        out, following = critic.run(rollout.critic_obs).out, critic.run(rollout.next_critic_obs).out
        before = hidden.unsqueeze(2).expand(-1, -1, rollout.obs.shape[2] + 1, -1)
    else:
        out, states, _ = critic.run(
            rollout.critic_obs, hidden=hidden, dt=rollout.dt, resets=rollout.start, wants=("out", "states")
        )
        assert states is not None
        aside = {"hidden": states.flatten(1, 2), "dt": _each(rollout.next_dt)}
        following = critic.run(_each(rollout.next_critic_obs), **aside).out
        before = torch.cat((hidden.unsqueeze(2), states), 2)
    assert out is not None
    assert following is not None
    return out.view(rollout.reward.shape), following.view(rollout.reward.shape), before


def _times(critic: Network, batch: Batch) -> dict[str, Any]:
    """Return the times and episode starts of a window for a critic with memory, nothing for others."""
    return {"dt": batch.dt, "resets": batch.start} if critic.has_memory else {}


def _states(critic: Network, batch: Batch) -> Tensor:
    states = critic.run(batch.critic_obs, batch.action, dt=batch.dt, resets=batch.start, wants=("states",)).states
    assert states is not None
    return states


def _each(values: Tensor) -> Tensor:
    """Make every step of windows (S, B, T, ...) a window of one step, (S, B * T, 1, ...)."""
    return values.flatten(1, 2).unsqueeze(2)
