"""Rollouts: the steps that a policy has taken since it last learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from velora.buffers.base import Buffer
from velora.buffers.columns import CRITICS, share_observations


@dataclass(frozen=True, slots=True)
class Rollout:
    """Consecutive steps of every seed; an episode may end and the next begin at any of them.

    Shapes:
        B: environments of each seed, or windows.
        obs, next_obs: (S, B, T, O); images are uint8. action: (S, B, T, A), as it was drawn.
        critic_obs, next_critic_obs: (S, B, T, O + P), of images (S, B, T, P): what critics read where they see more
            than the policy; elsewhere ``obs`` and ``next_obs`` themselves.
        reward, terminated, truncated, dt, next_dt, start, log_prob: (S, B, T); see :class:`velora.buffers.Batch`.
            ``log_prob`` is that of the action under the policy that chose it.
        hidden: (S, B, T, H), the recurrent state that the acting policy had before it saw each observation.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor
    truncated: Tensor
    dt: Tensor
    next_dt: Tensor
    start: Tensor
    log_prob: Tensor
    hidden: Tensor
    critic_obs: Tensor = None  # type: ignore[assignment]  # which the constructor sees to
    next_critic_obs: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Let critics read the observations, unless they were given more."""
        share_observations(self)

    def windows(self, length: int) -> Rollout:
        """Cut long windows into short ones: (S, B, T, ...) into (S, B * T / length, length, ...)."""
        return self._with(lambda values: values.view(len(values), -1, length, *values.shape[3:]))

    def take(self, index: Tensor) -> Rollout:
        """Choose windows of each seed.

        Shapes:
            index: (S, B), whole numbers.
        """
        own = torch.arange(len(index), dtype=torch.int64, device=index.device).unsqueeze(1)
        return self._with(lambda values: values[own, index])

    def _with(self, change: Callable[[Tensor], Tensor]) -> Rollout:
        """Change every field alike; what critics share with the policy is changed once."""
        shared = [name for name, obs in CRITICS.items() if getattr(self, name) is getattr(self, obs)]
        return Rollout(**{name: change(getattr(self, name)) for name in self.__slots__ if name not in shared})


class RolloutBuffer(Buffer):
    """Keep the steps of each seed since it last learned, with the log-probabilities of their actions.

    They are kept by the host, whatever the device: a rollout crosses over as a whole, once in ``rollout_steps`` steps.
    Recurrent states come back from a GPU at every step for it.

    Rows of one seed are step after step, and within a step environment after environment, so that a rollout that isn't
    full is the beginning of one.

    Args:
        n_steps: of each environment (T); the capacity is T * E.
    """

    def __init__(
        self,
        n_steps: int,
        *,
        n_seeds: int,
        obs_dim: int,
        action_dim: int,
        state_size: int,
        n_envs: int = 1,
        as_bytes: bool = False,
        privileged: int = 0,
        is_joined: bool = True,
    ) -> None:
        super().__init__(
            n_steps * n_envs,
            n_seeds=n_seeds,
            obs_dim=obs_dim,
            action_dim=action_dim,
            state_size=state_size,
            n_envs=n_envs,
            more={"log_prob": 1},
            setting="rollout_steps",
            as_bytes=as_bytes,
            privileged=privileged,
            is_joined=is_joined,
        )

    @staticmethod
    def width(**sizes: Any) -> int:
        """Count the float32 values in one step of such a buffer; see :class:`Buffer`."""
        return 1 + Buffer.width(**sizes)

    def find_fault(self, rows: Tensor, *, n_choices: int | None = None) -> str | None:
        """See :class:`Buffer`; a step has a row of every environment."""
        if rows.shape[1] % self.n_envs:
            return f"rows: expected {self.n_envs} of each step, found {rows.shape[1]} in all"
        return super().find_fault(rows, n_choices=n_choices)

    def is_full(self, seed_index: int) -> bool:
        """Return whether a seed has nothing left to add to its rollout."""
        return self.size(seed_index) == self.capacity

    def read(self, device: torch.device) -> Rollout:
        """Read the rollouts of all seeds, (S, E, T, ...); those that aren't full mean nothing."""
        rows = torch.from_numpy(self._rows).to(device)
        rows = rows.view(self.n_seeds, -1, self.n_envs, self.row_width).transpose(1, 2).contiguous()
        column = {name: self._column(rows, name) for name in self._columns}
        wide = ("obs", "action", "next_obs", "hidden")
        seen = {n: c if n in wide else c.squeeze(3) for n, c in column.items() if "privileged" not in n}
        return Rollout(**seen, **self._for_critics(rows))

    def append(self, seed_indices: Sequence[int]) -> None:
        """Copy the ``incoming`` transitions of these seeds to the ends of their rollouts, which aren't full."""
        n = self.n_envs
        for k in seed_indices:
            at = int(self._size[k])
            self._rows[k, at : at + n] = self._incoming[k * n : (k + 1) * n]
            self._size[k] = at + n
            self._position[k] = (at + n) % self.capacity

    def clear(self, seed_indices: Sequence[int]) -> None:
        """Begin anew for these seeds."""
        where = list(seed_indices)
        self._size[where] = self._position[where] = 0
