"""One ring per seed that serves single transitions and sequences from the same packed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.core.errors import SettingError, ShapeError
from velora.core.types import Array
from velora.ops import kernels
from velora.ops.arrays.program import do


@dataclass(frozen=True, slots=True)
class Batch:
    """Hold windows of experience as the learner reads them.

    Shapes:
        obs, next_obs: (S, B, T, O). action: (S, B, T, A), normalised to [-1, 1].
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

    def after(self, burn_in: int) -> Batch:
        """Drop the first ``burn_in`` steps of every window; ``hidden`` is then no longer the state at its start."""
        if burn_in == 0:
            return self
        cut = {name: getattr(self, name)[:, :, burn_in:] for name in self.__slots__ if name != "hidden"}
        return Batch(**cut, hidden=self.hidden)


class ReplayBuffer:
    """Keep the newest ``capacity`` transitions of each seed, with the recurrent state they were acted from.

    A row packs every field of a transition as float32, so that adding is one copy and sampling one gather.
    Rows of one seed are in the order of time (one environment per seed), which is what makes windows possible.

    Shapes:
        rows: (S, capacity, 2 * O + A + H + 6).
        incoming: the fields of one row of every seed, (S, feature) each, to be filled for :meth:`append`.

    Raises:
        SettingError: if the capacity is below 1 or the rows don't fit in memory.
    """

    def __init__(self, capacity: int, *, n_seeds: int, obs_dim: int, action_dim: int, state_size: int) -> None:
        if capacity < 1:
            raise SettingError(f"buffer_size: expected at least 1 transition, got {capacity}")
        self.capacity = capacity
        self.n_seeds = n_seeds
        widths = {
            "obs": obs_dim, "action": action_dim, "reward": 1, "next_obs": obs_dim, "terminated": 1, "truncated": 1,
            "dt": 1, "next_dt": 1, "start": 1, "hidden": state_size,
        }  # fmt: skip
        ends = np.cumsum(list(widths.values())).tolist()
        self._columns = {n: slice(e - w, e) for (n, w), e in zip(widths.items(), ends, strict=True)}
        try:
            self._rows = np.zeros((n_seeds, capacity, ends[-1]), dtype=np.float32)
        except MemoryError as error:
            size = n_seeds * capacity * ends[-1] * 4 / 2**30
            raise SettingError(f"buffer_size: {capacity} transitions need {size:.1f} GiB; choose fewer") from error
        self._incoming = np.zeros((n_seeds, ends[-1]), dtype=np.float32)
        self.incoming = {name: self._incoming[:, where] for name, where in self._columns.items()}
        self._position: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._size: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._first_rows = np.arange(n_seeds) * capacity

    def __len__(self) -> int:
        """Count the transitions of the seed that has fewest."""
        return int(self._size.min())

    def size(self, seed_index: int) -> int:
        """Count the transitions of one seed."""
        return int(self._size[seed_index])

    @staticmethod
    def width(*, obs_dim: int, action_dim: int, state_size: int) -> int:
        """Count the float32 values in one transition of such a buffer."""
        return 2 * obs_dim + action_dim + state_size + 6

    @property
    def row_width(self) -> int:
        """Number of float32 values in one transition."""
        return int(self._rows.shape[2])

    def append(self, seed_indices: Sequence[int]) -> None:
        """Copy the ``incoming`` transition of these seeds into their rings, over the oldest when a ring is full."""
        for k in seed_indices:
            at = int(self._position[k])
            self._rows[k, at] = self._incoming[k]
            self._position[k] = (at + 1) % self.capacity
            if self._size[k] < self.capacity:
                self._size[k] += 1

    def add(self, seed_index: int, **fields: Any) -> None:
        """Append one transition of one seed, given field by field as :class:`Batch` names them.

        Shapes:
            obs, next_obs: (O,). action: (A,), normalised. hidden: (H,), the state before ``obs`` was seen. The others
                are numbers.
        """
        if fields.keys() != self.incoming.keys():
            raise SettingError(f"add: expected the fields {', '.join(self.incoming)}, got {', '.join(fields)}")
        for name, value in fields.items():
            self.incoming[name][seed_index] = value
        self.append((seed_index,))

    def sample(self, uniform: Array, length: int, device: torch.device) -> Batch:
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

    def gather(self, uniform: Array, length: int, device: torch.device) -> Batch:
        """Sample as a program can do again when ``uniform`` (S, B), float64, has changed."""
        if not kernels.is_recording():
            return self._gather_in_arrays(uniform, length, device)
        n_seeds, batch_size = uniform.shape
        out = torch.zeros(n_seeds, batch_size, length, self.row_width)
        arrays = (self._rows, uniform, self._size, self._position)
        words = (
            n_seeds, batch_size, length, self.capacity, self.row_width, *(a.ctypes.data for a in arrays), out.data_ptr()
        )  # fmt: skip
        kernels.call(kernels.GATHER, words, (*arrays, out))
        return self._batch(out)

    def _gather_in_arrays(self, uniform: Array, length: int, device: torch.device) -> Batch:
        rows = np.zeros((*uniform.shape, length, self.row_width), dtype=np.float32)
        do(self._read, uniform, rows)
        batch = torch.from_numpy(rows)
        if device.type != "cpu":
            there = batch.to(device)
            do(there.copy_, batch)
            batch = there
        return self._batch(batch)

    def _read(self, uniform: Array, out: Array) -> None:
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
        column = {name: rows[..., where] for name, where in self._columns.items()}
        flat = {n: column[n].squeeze(-1) for n in ("reward", "terminated", "truncated", "dt", "next_dt", "start")}
        return Batch(
            obs=column["obs"],
            action=column["action"],
            next_obs=column["next_obs"],
            hidden=column["hidden"][:, :, 0],
            **flat,
        )

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the filled rows of one seed, sharing memory with the buffer, and where they lie.

        Shapes:
            rows: (1, size, row_width).
        """
        size = int(self._size[seed_index])
        return {
            "rows": torch.from_numpy(self._rows[seed_index : seed_index + 1, :size]),
            "counters": {"size": size, "position": int(self._position[seed_index])},
        }

    def load_state_dict(self, rows: Tensor, *, position: int, size: int, seed_index: int = 0) -> None:
        """Take over the saved rows of one seed; a smaller buffer keeps the newest of them.

        Raises:
            ShapeError: if they don't fit this buffer.
        """
        if tuple(rows.shape) != (1, size, self.row_width):
            raise ShapeError(f"buffer: expected rows of (1, {size}, {self.row_width}), got {tuple(rows.shape)}")
        if not 0 <= position <= size:
            raise ShapeError(f"buffer: position {position} doesn't fit {size} rows")
        kept = rows[0].numpy()
        if size != self.capacity and position != size:  # a ring of another capacity that had wrapped: oldest first
            kept = np.roll(kept, -position, axis=0)
            position = size
        kept = kept[max(0, size - self.capacity) :]
        self._rows[seed_index, : len(kept)] = kept
        self._size[seed_index] = len(kept)
        self._position[seed_index] = min(position, len(kept)) % self.capacity
