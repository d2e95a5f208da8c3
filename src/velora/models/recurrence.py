"""Recompute, over replayed windows, the recurrent states that acting went through."""

from __future__ import annotations

import torch
from torch import Tensor

from velora.buffers import Batch
from velora.nn.networks import LiquidActor


def burnt_in(actor: LiquidActor, batch: Batch, burn_in: int) -> Tensor:
    """Bring the stored recurrent state up to date over the first ``burn_in`` steps of each window.

    Shapes:
        batch: (S, B, T, ...), T > burn_in.
        returns: (S, B, H), the state before step ``burn_in``; no gradient flows into it.

    Source:
        Kapturowski et al. 2019 (R2D2), section 3.
    """
    if burn_in == 0:
        return batch.hidden
    with torch.no_grad():
        first = slice(0, burn_in)
        _, hidden = actor.states(batch.obs[:, :, first], batch.hidden, batch.dt[:, :, first], batch.start[:, :, first])
    return hidden


def next_actions(actor: LiquidActor, batch: Batch) -> Tensor:
    """Act on every ``next_obs`` of a window, from the state that the same network has reached there.

    The network is unrolled over ``obs`` and makes one step aside at every ``next_obs``, so that a window may run over
    the end of an episode: the step aside sees the last observation, the unroll begins the next episode afresh.

    Shapes:
        batch: (S, B, T, ...).
        returns: (S, B, T, A) in [-1, 1].
    """
    states, _ = actor.states(batch.obs, batch.hidden, batch.dt, batch.start)
    n_seeds, n_windows, length, _ = states.shape
    action, _ = actor.step(batch.next_obs.flatten(1, 2), states.flatten(1, 2), batch.next_dt.flatten(1, 2))
    return action.view(n_seeds, n_windows, length, -1)
