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
        self._position: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._size: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._seed_axis = np.arange(n_seeds)[:, None, None]

    def __len__(self) -> int:
        """Count the transitions of the seed that has fewest."""
        return int(self._size.min())

    def size(self, seed_index: int) -> int:
        """Count the transitions of one seed."""
        return int(self._size[seed_index])

    @property
    def row_width(self) -> int:
        """Number of float32 values in one transition."""
        return int(self._rows.shape[2])

    def add(
        self,
        seed_index: int,
        *,
        obs: Array,
        action: Array,
        reward: float,
        next_obs: Array,
        terminated: bool,
        truncated: bool,
        dt: float,
        next_dt: float,
        start: bool,
        hidden: Array,
    ) -> None:
        """Copy one transition of one seed into its ring, over the oldest when the ring is full.

        Shapes:
            obs, next_obs: (O,). action: (A,), normalised. hidden: (H,), the state before ``obs`` was seen.
        """
        at = int(self._position[seed_index])
        np.concatenate(
            (obs, action, (reward,), next_obs, (terminated, truncated, dt, next_dt, start), hidden),
            out=self._rows[seed_index, at],
            casting="unsafe",
        )
        self._position[seed_index] = (at + 1) % self.capacity
        if self._size[seed_index] < self.capacity:
            self._size[seed_index] += 1

    def sample(
        self, batch_size: int, length: int, generators: Sequence[np.random.Generator], device: torch.device
    ) -> Batch:
        """Draw windows of ``length`` steps, uniformly over every start that has a whole window after it.

        Args:
            generators: one per seed.

        A seed that stopped with fewer than ``length`` transitions gets windows that mean nothing; nothing learns
        from them.

        Raises:
            SettingError: if every seed holds fewer than ``length`` transitions.
        """
        if self._size.max() < length:
            raise SettingError(f"buffer: a window of {length} steps was asked for, {self._size.max()} are stored")
        starts = np.empty((self.n_seeds, batch_size), dtype=np.int64)
        self.draw(starts, length, generators)
        index = (starts[:, :, None] + np.arange(length)) % self.capacity
        batch = self._batch(torch.from_numpy(self._rows[self._seed_axis, index]).to(device))
        return replace(batch, start=batch.start > 0.5)

    def draw(self, starts: NDArray[np.int64], length: int, generators: Sequence[np.random.Generator]) -> None:
        """Fill ``starts`` (S, B) with the rows where random windows begin, each in [0, capacity)."""
        for k, generator in enumerate(generators):
            size = int(self._size[k])
            drawn = generator.integers(0, max(size - length + 1, 1), starts.shape[1])
            if size == self.capacity:  # the ring is full: the oldest row is where the next will go
                drawn += int(self._position[k])
                drawn %= self.capacity
            starts[k] = drawn

    def gather(self, starts: Tensor, length: int, device: torch.device) -> Batch:
        """Read windows as a program can do again when ``starts`` (S, B) has changed."""
        n_seeds, batch_size = starts.shape
        if not kernels.is_recording():
            return self._gather_in_arrays(starts.numpy(), length, device)
        stored = torch.from_numpy(self._rows)
        out = torch.zeros(n_seeds, batch_size, length, self.row_width)
        words = (
            n_seeds, batch_size, length, self.capacity, self.row_width, stored.data_ptr(), starts.data_ptr(),
            out.data_ptr(),
        )  # fmt: skip
        kernels.call(kernels.GATHER, words, (stored, starts, out))
        return self._batch(out)

    def _gather_in_arrays(self, starts: NDArray[np.int64], length: int, device: torch.device) -> Batch:
        index = np.zeros((*starts.shape, length), dtype=np.int64)
        out = np.zeros((*index.shape, self.row_width), dtype=np.float32)
        first_rows = np.arange(self.n_seeds)[:, None, None] * self.capacity
        ring, steps, windows = self._rows.reshape(-1, self.row_width), np.arange(length), starts[:, :, None]

        def read() -> None:
            np.add(windows, steps, index)
            np.remainder(index, self.capacity, index)
            np.add(index, first_rows, index)
            ring.take(index, 0, out, "clip")

        do(read)
        batch = torch.from_numpy(out)
        if device.type != "cpu":
            there = batch.to(device)
            do(there.copy_, batch)
            batch = there
        return self._batch(batch)

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
