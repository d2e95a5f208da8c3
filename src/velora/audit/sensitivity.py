"""How strongly a policy answers to small changes of what it sees."""

from __future__ import annotations

import numpy as np
import torch

from velora.audit.batch import Batch, Floats
from velora.export.policy import Policy


def slopes(policy: Policy, obs: Floats, states: Floats, dt: Floats) -> Floats:
    """Differentiate the answers of one step by its observation, the recurrent state as it is.

    Answers are continuous actions in the environment's units; of discrete actions, the outputs that they are chosen by.

    Shapes:
        obs: (B, n_observations). states: (B, n_state), before the step. dt: (B,).
        returns: (B, answers, n_observations).
    """
    batch = Batch(policy)
    seen = torch.from_numpy(obs.copy()).requires_grad_()
    batch(seen, torch.from_numpy(states), torch.from_numpy(dt))
    rows = [
        torch.autograd.grad(batch.outputs[:, k].sum(), seen, retain_graph=True)[0].numpy()
        for k in range(batch.outputs.shape[1])
    ]
    return np.stack(rows, 1)


def steepness(jacobians: Floats, spread: Floats, reach: Floats) -> Floats:
    """Return the spectral norm of each Jacobian in units of the task: reaches of an answer by spreads of what is seen.

    The largest over the states that were visited is a lower bound of the policy's Lipschitz constant, no more: it may
    be steeper elsewhere.

    Shapes:
        jacobians: (B, answers, n_observations). spread: (n_observations,). reach: (answers,), half the range of
            an action.
        returns: (B,): an observation that is off by one spread in the worst direction moves the answer by so many
        reaches, to first order.
    """
    scaled = jacobians * spread / reach[:, None]
    norms: Floats = np.linalg.norm(scaled, ord=2, axis=(1, 2))
    return norms
