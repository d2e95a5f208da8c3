"""Recompute, over replayed windows, the recurrent states that acting went through."""

from __future__ import annotations

from torch import Tensor

from velora.buffers import Batch
from velora.nn.execution import Network


def burnt_in(actor: Network, batch: Batch, burn_in: int) -> Tensor:
    """Bring the stored recurrent state up to date over the first ``burn_in`` steps of each window.

    Shapes:
        batch: (S, B, T, ...), T > burn_in.
        returns: (S, B, H), the state before step ``burn_in``; no gradient flows into it.

    Source:
        Kapturowski et al. 2019 (R2D2), section 3.
    """
    if burn_in == 0:
        return batch.hidden
    obs, dt, start = (t[:, :, :burn_in] for t in (batch.obs, batch.dt, batch.start))
    last = actor.run(obs, hidden=batch.hidden, dt=dt, resets=start, wants=("last",)).last
    assert last is not None
    return last


def next_actions(actor: Network, batch: Batch) -> Tensor:
    """Act on every ``next_obs`` of a window, from the state that the same network has reached there.

    The network is unrolled over ``obs`` and makes one step aside at every ``next_obs``, so that a window may run over
    the end of an episode: the step aside sees the last observation, the unroll begins the next episode afresh.

    Shapes:
        batch: (S, B, T, ...).
        returns: (S, B, T, A) in [-1, 1].
    """
    states = actor.run(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start, wants=("states",)).states
    assert states is not None
    n_seeds, n_windows, length, _ = states.shape
    aside = (t.flatten(1, 2).unsqueeze(2) for t in (batch.next_obs, batch.next_dt))
    next_obs, next_dt = aside
    action = actor.run(next_obs, hidden=states.flatten(1, 2), dt=next_dt).out
    assert action is not None
    return action.view(n_seeds, n_windows, length, -1)
