"""Check and convert what people pass to ``predict``, and answer in kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from velora.core.errors import NonFiniteError, SettingError, ShapeError
from velora.envs.clock import LONGEST, SHORTEST


@np.errstate(all="ignore")
def rows(
    state: Any, hidden: Any, dt: Any, *, state_dim: int, state_size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Turn an observation or a batch of them into the tensors that ``act`` takes.

    Shapes:
        state: (O,) or (B, O). hidden: (H,) or (B, H), or ``None``. dt: a number or (B,), or ``None``.
        returns: obs (1, B, O), hidden (1, B, H), dt (1, B); B is 1 for a single observation.

    Raises:
        ShapeError: if a shape doesn't fit.
        SettingError: if ``dt`` isn't from 1e-6 to 1e6.
        NonFiniteError: if a number isn't finite.
    """
    obs = _tensor("state", state, device)
    if obs.ndim not in (1, 2) or obs.shape[-1] != state_dim:
        raise ShapeError(f"predict: expected a state of ({state_dim},) or (B, {state_dim}), got {tuple(obs.shape)}")
    shape = (*obs.shape[:-1], state_size)
    h = obs.new_zeros(shape) if hidden is None else _tensor("hidden", hidden, device)
    if h.shape != shape:
        raise ShapeError(f"predict: expected a hidden state of {tuple(shape)}, got {tuple(h.shape)}")
    times = obs.new_ones(shape[:-1]) if dt is None else _tensor("dt", dt, device)
    if not bool(((times >= SHORTEST) & (times <= LONGEST)).all()):
        raise SettingError(f"predict: expected dt from {SHORTEST:g} to {LONGEST:g} control steps, got {dt}")
    if times.ndim > 0 and times.shape != shape[:-1]:
        raise ShapeError(f"predict: expected one dt, or one for each state {shape[:-1]}, got {tuple(times.shape)}")
    if not bool((obs.sum() + h.sum()).isfinite()):  # sums of finite numbers may overflow, so each is looked at then
        for name, given, seen in (("state", state, obs), ("hidden state", hidden, h)):
            if not bool(seen.isfinite().all()):
                raise NonFiniteError(f"predict: expected a {name} of finite float32 numbers, got {_in_short(given)}")
    return obs.view(1, -1, state_dim), h.reshape(1, -1, state_size), times.expand(shape[:-1]).reshape(1, -1)


def flat(state: Any, image: tuple[int, ...]) -> Any:
    """Turn images (*image) or (B, *image) into vectors (O,) or (B, O); leave vectors as they are."""
    shape = tuple(np.shape(state))
    if shape[-len(image) :] != image:
        return state
    state = state if isinstance(state, Tensor) else np.asarray(state)
    return state.reshape(*shape[: -len(image)], -1)


def _tensor(name: str, value: Any, device: torch.device) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(device, torch.float32)
    try:
        return torch.from_numpy(np.array(value, dtype=np.float32, order="C")).to(device)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"predict: expected {name} to be numbers, got {_in_short(value)}") from error


def _in_short(value: Any) -> str:
    """Write a value on one line, its beginning if it is long."""
    return f"{' '.join(repr(value).split()):.80}"
