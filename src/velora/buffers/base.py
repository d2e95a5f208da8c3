"""Base of all buffers: one ring of packed rows per seed, and how it is filled, saved and restored."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from velora.buffers.columns import OBSERVATIONS, columns, critic_columns, find_fault, widths
from velora.buffers.copying import RowsCopy
from velora.core.errors import SettingError, ShapeError
from velora.core.types import Array


class Buffer(ABC):  # noqa: B024 - abstract since it can be filled and not read
    """Keep the newest ``capacity`` transitions of each seed, with the recurrent state they were acted from.

    A row packs every field of a transition as float32, so that adding is one copy and sampling one gather; bytes lie
    in it four to a float32.
    Rows of one seed are in the order of time, which is what makes windows possible.

    Shapes:
        rows: (S, capacity, 2 * (O + P) + A + H + 6), and what ``more`` takes; O / 4, rounded up, if they are bytes.
        incoming: the fields of one row of every environment, (S * E, feature) each, seed after seed, to be filled for
            :meth:`append`.

    Args:
        n_envs: rows of each seed that come at once (E).
        more: further fields by name, with the numbers in each.
        setting: what the capacity is called where it is chosen, for errors.
        as_bytes: keep observations as whole numbers from 0 to 255, which images are.
        privileged: numbers beside an observation that critics alone read (P); with any, there are the fields
            ``privileged`` and ``next_privileged``.
        is_joined: whether critics read the observation and those numbers, or these alone.

    Raises:
        SettingError: if the capacity is below 1 or the rows don't fit in memory.
    """

    def __init__(
        self,
        capacity: int,
        *,
        n_seeds: int,
        obs_dim: int,
        action_dim: int,
        state_size: int,
        n_envs: int = 1,
        more: Mapping[str, int] | None = None,
        setting: str = "buffer_size",
        as_bytes: bool = False,
        privileged: int = 0,
        is_joined: bool = True,
    ) -> None:
        if capacity < 1:
            raise SettingError(f"{setting}: expected at least 1 transition, got {capacity}")
        self.capacity, self.n_seeds, self.n_envs = capacity, n_seeds, n_envs
        self._n_bytes = obs_dim if as_bytes else 0
        sizes: dict[str, Any] = {"obs_dim": obs_dim, "action_dim": action_dim, "state_size": state_size}
        own = widths(**sizes, as_bytes=as_bytes, privileged=privileged, more=more)
        self._columns = columns(own)
        self._seen_by_critics = critic_columns(self._columns, is_joined=is_joined)
        self.row_width: int = sum(own.values())
        """Number of float32 values in one transition."""
        try:
            self._allocate()
        except MemoryError as error:
            size = n_seeds * capacity * self.row_width * 4 / 2**30
            raise SettingError(f"{setting}: {capacity} transitions need {size:.1f} GiB; choose fewer") from error
        self._incoming = np.zeros((n_seeds * n_envs, self.row_width), dtype=np.float32)
        self.incoming: dict[str, Array] = {name: self._incoming[:, where] for name, where in self._columns.items()}
        if as_bytes:
            for name in OBSERVATIONS:
                self.incoming[name] = self.incoming[name].view(np.uint8)[:, :obs_dim]
        self._position: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._size: NDArray[np.int64] = np.zeros(n_seeds, dtype=np.int64)
        self._first_rows = np.arange(n_seeds) * capacity
        self._copies: dict[int, RowsCopy] = {}

    def _allocate(self) -> None:
        self._rows = np.zeros((self.n_seeds, self.capacity, self.row_width), dtype=np.float32)

    def __len__(self) -> int:
        """Count the transitions of the seed that has fewest."""
        return int(self._size.min())

    def size(self, seed_index: int) -> int:
        """Count the transitions of one seed."""
        return int(self._size[seed_index])

    @staticmethod
    def width(*, is_joined: bool = True, **sizes: Any) -> int:
        """Count the float32 values in one transition of a buffer of these sizes, named as its constructor names them.

        ``is_joined`` changes nothing.
        """
        return sum(widths(**sizes).values())

    def _column(self, rows: Tensor, name: str) -> Tensor:
        """See one field of rows (..., row_width); bytes as bytes."""
        column = rows[..., self._columns[name]]
        return column.view(torch.uint8)[..., : self._n_bytes] if self._n_bytes and name in OBSERVATIONS else column

    def _for_critics(self, rows: Tensor) -> dict[str, Tensor]:
        """See what critics read in rows (..., row_width) instead of the observations, if anything."""
        return {name: rows[..., where] for name, where in self._seen_by_critics.items()}

    def hidden_keeper(self, hidden: Tensor) -> Callable[[], object]:
        """Prepare to keep the recurrent state of all seeds, again and again, as that of the ``incoming`` transitions.

        Shapes:
            hidden: (S, E, H); it stays in one place.
        """
        kept, flat = self.incoming["hidden"], hidden.flatten(0, 1)
        if hidden.device.type == "cpu":
            return partial(kept.__setitem__, ..., flat.numpy())
        return lambda: np.copyto(kept, flat.cpu().numpy())

    def begun(self, seed_index: int) -> Tensor:
        """Copy the ``incoming`` transitions of one seed as they are now, to be put back by :meth:`begin_again`.

        Shapes:
            returns: as :meth:`saved_rows` says of E rows.
        """
        rows = torch.from_numpy(self._incoming[self._own(seed_index)].copy())
        return rows.unsqueeze(0).view(self.saved_rows(self.n_envs)[1])

    def begin_again(self, begun: Tensor, seed_index: int) -> None:
        """Put back what :meth:`begun` returned."""
        self._incoming[self._own(seed_index)] = self._numbers(begun).numpy()

    def _own(self, seed_index: int) -> slice:
        return slice(seed_index * self.n_envs, (seed_index + 1) * self.n_envs)

    def append(self, seed_indices: Sequence[int]) -> None:
        """Copy the ``incoming`` transition of these seeds into their rings, over the oldest when a ring is full."""
        if self._copies:
            self._make_room(seed_indices)
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
                are numbers. Where rows come E at a time, (E, feature) each.
        """
        if fields.keys() != self.incoming.keys():
            raise SettingError(f"add: expected the fields {', '.join(self.incoming)}, got {', '.join(fields)}")
        for name, value in fields.items():
            self.incoming[name][self._own(seed_index)] = value
        self.append((seed_index,))

    def state_dict(self, seed_index: int) -> dict[str, Any]:
        """Return the filled rows of one seed, sharing memory with the buffer, and where they lie.

        Shapes:
            rows: (1, size, row_width), or as :meth:`saved_rows` says.
        """
        size = int(self._size[seed_index])
        return {
            "rows": self._filled(seed_index, size).view(self.saved_rows(size)[1]),
            "counters": {"size": size, "position": int(self._position[seed_index])},
        }

    def begin_copy(self, seed_index: int) -> tuple[Tensor, Callable[[], object]]:
        """Copy the filled rows of one seed to the host; here at once.

        Shapes:
            returns: (1, size, row_width), or as :meth:`saved_rows` says.

        Returns:
            The copy, and what finishes it, in whatever thread; new rows may come in before.
        """
        rows: Tensor = self.state_dict(seed_index)["rows"]
        return rows.to("cpu", copy=True), lambda: None

    def _make_room(self, seed_indices: Sequence[int]) -> None:
        """Wait before a row that is still to be copied is written over."""
        for k in seed_indices:
            if k in self._copies and self._copies[k].make_room(1):
                del self._copies[k]

    def saved_rows(self, size: int) -> tuple[tuple[int, int, int], torch.dtype]:
        """Return the shape and type of so many saved rows: those that hold bytes are saved as bytes, four to a float32.

        Read as float32, bytes may be NaN, which nothing else of a buffer may.
        """
        if self._n_bytes:
            return (1, size, 4 * self.row_width), torch.uint8
        return (1, size, self.row_width), torch.float32

    def _numbers(self, rows: Tensor) -> Tensor:
        """See saved rows as (N, row_width) of float32; of no rows at all NumPy gives strides that no view takes."""
        return rows[0].reshape(-1).view(torch.float32).view(-1, self.row_width)

    def _filled(self, seed_index: int, size: int) -> Tensor:
        return torch.from_numpy(self._rows[seed_index : seed_index + 1, :size])

    def find_fault(self, rows: Tensor, *, n_choices: int | None = None) -> str | None:
        """Return why saved rows are such as nothing can have filled a buffer with, or ``None`` if they aren't.

        Shapes:
            rows: as :meth:`saved_rows` says.

        Args:
            n_choices: how many discrete actions there are; ``None`` where actions are numbers.
        """
        bytes_ = OBSERVATIONS if self._n_bytes else ()
        numbers = {name: where for name, where in self._columns.items() if name not in bytes_}
        return find_fault(self._numbers(rows), numbers, n_choices=n_choices)

    def load_state_dict(self, rows: Tensor, *, position: int, size: int, seed_index: int = 0) -> None:
        """Take over the saved rows of one seed; a smaller buffer keeps the newest of them.

        Raises:
            ShapeError: if they don't fit this buffer.
        """
        if (tuple(rows.shape), rows.dtype) != (expected := self.saved_rows(size)):
            raise ShapeError(f"buffer: expected rows of {expected[0]}, got {tuple(rows.shape)}")
        if not 0 <= position <= size:
            raise ShapeError(f"buffer: position {position} doesn't fit {size} rows")
        kept = self._numbers(rows).cpu().numpy()
        if size != self.capacity and position != size:  # a ring of another capacity that had wrapped: oldest first
            kept = np.roll(kept, -position, axis=0)
            position = size
        kept = kept[max(0, size - self.capacity) :]
        self._size[seed_index] = len(kept)
        self._position[seed_index] = min(position, len(kept)) % self.capacity
        self._overwrite(seed_index, kept)

    def _overwrite(self, seed_index: int, rows: Array) -> None:
        self._rows[seed_index, : len(rows)] = rows
