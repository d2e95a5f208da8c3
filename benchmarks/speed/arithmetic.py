"""The arithmetic of an update, and how fast one core can do arithmetic: the limit that a rate is drawn beside.

The work of a network is two operations (a product and a sum) for each of its weights, sample and pass. A pass is
forward, backward to the inputs, or backward to the weights, all of one size; that to the inputs of the first layer,
which is rarely needed, counts too. What isn't a product with a weight counts as nothing: activations, losses, Adam,
replay, acting, the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

FORWARD, TO_INPUTS, TO_WEIGHTS = 1, 1, 1
CORE = "this core"
"""The contender whose products of large matrices are the limit."""


def passes(algorithm: str, *, policy_delay: int = 1) -> tuple[float, float]:
    """Count the passes of one update through the actor, and through one critic, on average over updates.

    Args:
        policy_delay: every how manieth update improves the policy.
    """
    own = FORWARD + TO_INPUTS + TO_WEIGHTS
    under_the_policy = FORWARD + TO_INPUTS
    if algorithm == "SAC":  # the current actor draws the next actions; both critics judge the policy
        return FORWARD + own, 2 * (FORWARD + own + under_the_policy)
    critics = 2 if algorithm == "TD3" else 1
    return FORWARD + own / policy_delay, critics * (FORWARD + own) + under_the_policy / policy_delay


def mflop(algorithm: str, *, actor: int, critic: int, samples: int, policy_delay: int = 1) -> float:
    """Return the work of one update of one seed.

    Args:
        actor, critic: weights in use, in one critic where there are two.
        samples: steps of all windows in a batch.
        policy_delay: every how manieth update improves the policy.
    """
    of_actor, of_critic = passes(algorithm, policy_delay=policy_delay)
    return 2 * samples * (of_actor * actor + of_critic * critic) / 1e6


def sequence_mflop(weights: int, samples: int) -> dict[str, float]:
    """Return the work of a layer along sequences, as row 3 names it.

    Args:
        weights: in use.
        samples: steps of all sequences.
    """
    forward = 2 * samples * FORWARD * weights / 1e6
    return {"forward_mflop": forward, "both_mflop": forward * (FORWARD + TO_INPUTS + TO_WEIGHTS)}


def dense_weights(sizes: Sequence[int]) -> int:
    """Count the weights and biases of layers one after another, from the inputs to the outputs."""
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def dense_mflop(algorithm: str, *, obs_dim: int, action_dim: int, units: Sequence[int], batch_size: int) -> float:
    """Return the work of one update of a peer, whose networks are all dense; TD3's policy learns every second time."""
    heads = 2 * action_dim if algorithm == "SAC" else action_dim
    actor = dense_weights([obs_dim, *units, heads])
    critic = dense_weights([obs_dim + action_dim, *units, 1])
    delay = 2 if algorithm == "TD3" else 1
    return mflop(algorithm, actor=actor, critic=critic, samples=batch_size, policy_delay=delay)
