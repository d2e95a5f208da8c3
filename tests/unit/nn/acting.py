"""Run a policy's module along sequences, or one step, for tests to compare with."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def along(actor: Any, obs: Tensor, hidden: Tensor, dt: Tensor, resets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Act along sequences (S, B, T, O); return actions (S, B, T, A) and the last hidden state (S, B, H)."""
    out, _, last = actor.unroll((obs,), hidden, dt, resets)
    return out, last


def step(actor: Any, obs: Tensor, hidden: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
    """Act once: obs (S, B, O), dt (S, B); return the action (S, B, A) and the next hidden state (S, B, H)."""
    out, last = along(actor, obs.unsqueeze(2), hidden, dt.unsqueeze(2))
    return out.squeeze(2), last
