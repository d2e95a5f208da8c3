"""Operations on the parameters of whole networks, in one tensor (S, P)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


@torch.no_grad()
def follow(target: Tensor, source: Tensor, *, tau: float, rows: Sequence[int] | None = None) -> None:
    """Move a target network a fraction ``tau`` of the way to its source, in place (Polyak averaging).

    Shapes:
        target, source: (S, P).

    Args:
        tau: in [0, 1]; 1 copies.
        rows: the seeds to move; ``None`` is all.

    Source:
        Lillicrap et al. 2016 (arXiv 1509.02971), algorithm 1, last two lines.
    """
    if rows is None or len(rows) == target.shape[0]:
        target.lerp_(source, tau)
        return
    for k in rows:
        target[k].lerp_(source[k], tau)


@torch.no_grad()
def clip_gradient(gradient: Tensor, *, max_norm: float) -> Tensor:
    """Scale the gradient of each seed to a norm of at most ``max_norm``, in place; return the norms before.

    The norm is one number per seed over all parameters: a seed with a burst doesn't slow its neighbours.

    Shapes:
        gradient: (S, P).
        returns: (S,).

    Source:
        Pascanu et al. 2013 (arXiv 1211.5063), algorithm 1, per seed.
    """
    norms: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    gradient.mul_((max_norm / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1))
    return norms
