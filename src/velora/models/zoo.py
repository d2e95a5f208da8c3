"""Trained agents that come with Velora."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from velora.core.zoo import Score, find, scores

if TYPE_CHECKING:
    import torch

    from velora.models import Agent


@overload
def zoo(name: None = None) -> dict[str, Score]: ...


@overload
def zoo(name: str, *, device: str | torch.device | None = None, kernel: str = "auto") -> Agent: ...


def zoo(
    name: str | None = None, *, device: str | torch.device | None = None, kernel: str = "auto"
) -> Agent | dict[str, Score]:
    """Load a trained agent that comes with Velora, or list them all with what they earn.

    Commands take them too, as ``zoo:<name>``: ``velora evaluate zoo:pendulum``.

    Args:
        name: of one of them; without it, all are listed, and PyTorch isn't imported.
        device: where to put the agent; ``None`` chooses.
        kernel: what computes; see the agent's constructor.

    Raises:
        CheckpointError: if there is none of that name.

    Example:
        >>> import velora
        >>> velora.zoo("pendulum").environment["id"]
        'Pendulum-v1'
        >>> print(velora.zoo()["cartpole"])
        500.0 over 20 episodes of CartPole: LiquidPPO of 20 neurons (cfc)
    """
    if name is None:
        return scores()
    from velora.models.loading import load  # PyTorch, which a list doesn't need

    return load(find(name), device=device, kernel=kernel)
