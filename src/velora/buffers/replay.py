"""One ring per seed that serves single transitions and sequences from the same packed rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from velora.buffers.base import Buffer
from velora.buffers.columns import share_observations
from velora.buffers.copying import RowsCopy
from velora.core.errors import SettingError
from velora.kernels.arrays.namespace import Values
from velora.kernels.arrays.program import do
from velora.kernels.native import binding


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of experience as the learner reads them.

    Shapes:
        obs, next_obs: (S, B, T, O); images are uint8. action: (S, B, T, A), normalised to [-1, 1], or a choice
            (S, B, T, 1).
        critic_obs, next_critic_obs: (S, B, T, O + P), of images (S, B, T, P): what critics read where they see more
            than the policy; elsewhere ``obs`` and ``next_obs`` themselves.
        reward, terminated, truncated, dt, next_dt: (S, B, T). start: (S, B, T), bool, or 0 and 1 in a program's batch.
        hidden: (S, B, H), the recurrent state that the acting policy had *before* it saw ``obs[:, :, 0]``.

    ``dt`` is the time since the observation before, ``next_dt`` the time from ``obs`` to ``next_obs``, both in control
    steps. ``start`` marks an episode's first observation: the recurrent state is zero there. A window may run over an
    episode's end into the next episode.
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
    hidden: Tensor
    critic_obs: Tensor = None  # type: ignore[assignment]  # which the constructor sees to
    next_critic_obs: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Let critics read the observations, unless they were given more."""
        share_observations(self)


class Windows(NamedTuple):
    """Memory for windows of a buffer, as a program's batch, and what reads chosen ones into it, again and again."""

    batch: Batch
    read: Callable[[], object]


class ReplayBuffer(Buffer):
    """Keep the newest ``capacity`` transitions of each seed, and draw windows from them."""

    def begin_copy(self, seed_index: int) -> tuple[Tensor, Callable[[], object]]:
        """See :class:`Buffer`; most of the rows are copied when it is finished."""
        size = self.size(seed_index)
        copy = RowsCopy(self._rows[seed_index, :size], int(self._position[seed_index]))
        self._copies[seed_index] = copy
        return torch.from_numpy(copy.rows).unsqueeze(0).view(self.saved_rows(size)[1]), copy.finish

    def sample(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """Gather windows of ``length`` steps, from every start alike that has a whole window after it.

        A seed that stopped with fewer than ``length`` transitions gets windows that mean nothing; nothing learns
        from them.

        Shapes:
            uniform: (S, B), in [0, 1): which windows.

        Raises:
            SettingError: if every seed holds fewer than ``length`` transitions.
        """
        if self._size.max() < length:
            raise SettingError(f"buffer: a window of {length} steps was asked for, {self._size.max()} are stored")
        rows = np.empty((*uniform.shape, length, self.row_width), dtype=np.float32)
        self._read(uniform, rows)
        batch = self._batch(torch.from_numpy(rows).to(device))
        return replace(batch, start=batch.start > 0.5)

    def gather(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """Sample as a program can do again when ``uniform`` (S, B), float64, has changed."""
        if not binding.is_recording():
            windows = self.windows(uniform, length, device)
            do(windows.read)
            return windows.batch
        out = torch.zeros(*uniform.shape, length, self.row_width, dtype=torch.float32, device="cpu")
        rings = {"rows": self._rows, "uniform": uniform, "size": self._size, "position": self._position}
        binding.run("gather", {**rings, "out": out})
        return self._batch(out)

    def windows(self, uniform: Values, length: int, device: torch.device) -> Windows:
        """Make memory on a device for the windows that ``uniform`` (S, B), float64, chooses whenever they are read."""
        rows = np.zeros((*uniform.shape, length, self.row_width), dtype=np.float32)
        here = torch.from_numpy(rows)
        if device.type == "cpu":
            return Windows(self._batch(here), lambda: self._read(uniform, rows))
        there = here.to(device)

        def read() -> None:
            self._read(uniform, rows)
            there.copy_(here)

        return Windows(self._batch(there), read)

    def _read(self, uniform: Values, out: Values) -> None:
        """Read the windows that ``uniform`` (S, B) chooses, into (S, B, T, row width)."""
        length = out.shape[2]
        n_starts = np.maximum(self._size - (length - 1), 1)
        index = (uniform * n_starts[:, None]).astype(np.int64)
        if length > 1:
            index = index[:, :, None] + np.arange(length)
        if self._size.max() == self.capacity:  # a full ring begins where the next row will go
            begins = self._position * (self._size == self.capacity)
            index = (index + begins.reshape(-1, *[1] * (index.ndim - 1))) % self.capacity
        if self.n_seeds > 1:
            index += self._first_rows.reshape(-1, *[1] * (index.ndim - 1))
        self._rows.reshape(-1, self.row_width).take(index.reshape(out.shape[:3]), 0, out, "clip")

    def _batch(self, rows: Tensor) -> Batch:
        column = {name: self._column(rows, name) for name in self._columns}
        flat = {n: column[n].squeeze(-1) for n in ("reward", "terminated", "truncated", "dt", "next_dt", "start")}
        return Batch(
            obs=column["obs"],
            action=column["action"],
            next_obs=column["next_obs"],
            hidden=column["hidden"][:, :, 0],
            **flat,
            **self._for_critics(rows),
        )
