"""Operations on whole parameter lists whose tensors all carry the seed axis first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def polyak(targets: Sequence[Tensor], sources: Sequence[Tensor], *, tau: float) -> None:
    """Move every target a fraction ``tau`` of the way to its source, in place.

    Shapes:
        targets, sources: equal pair by pair.

    Args:
        tau: in [0, 1]; 1 copies.

    Source:
        Lillicrap et al. 2016 (arXiv 1509.02971), algorithm 1, last two lines.
    """
    torch._foreach_lerp_(list(targets), list(sources), tau)


@torch.no_grad()
def clip_gradients(parameters: Sequence[Tensor], *, max_norm: float) -> Tensor:
    """Scale the gradients of each seed to a norm of at most ``max_norm``, in place; return the norms before.

    The norm is one number per seed over all parameters: a seed with a burst doesn't slow its neighbours.

    Shapes:
        parameters: each (S, ...), with ``grad`` set.
        returns: (S,).

    Source:
        Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1, per seed.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    n_seeds = gradients[0].shape[0]
    if n_seeds == 1:
        norms: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))).reshape(1)
        torch._foreach_mul_(gradients, (max_norm / (norms[0] + 1e-6)).clamp(max=1.0))
        return norms
    squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients])
    norms = squares.sum(0).sqrt()
    scale = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for g in gradients:
        g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))
    return norms
