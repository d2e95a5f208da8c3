"""A ring in the memory of a device, so that learning doesn't wait for the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velora.buffers.base import Buffer
from velora.buffers.replay import Batch, ReplayBuffer, Windows
from velora.core.errors import SettingError
from velora.core.types import Array
from velora.kernels.arrays.namespace import Values


class DeviceReplayBuffer(ReplayBuffer):
    """Keep what :class:`ReplayBuffer` keeps on a device, and draw the same windows from it there.

    A step sends one packed row per seed to the device, without its recurrent state, which is there already. Counters
    are kept on both sides, so that neither asks the other.

    Args:
        device: where the rows lie.
        sizes: see :class:`ReplayBuffer`.

    Raises:
        SettingError: if the capacity is below 1 or the rows don't fit in the device's memory.
    """

    def __init__(self, capacity: int, *, device: torch.device, **sizes: Any) -> None:
        self._device = device
        super().__init__(capacity, **sizes)

    def _allocate(self) -> None:
        shape, where = (self.n_seeds, self.capacity, self.row_width), self._device
        n_sent = self._columns["hidden"].start
        is_cuda = where.type == "cuda"
        with torch.inference_mode(False):  # which would make memory that nothing else may write to
            try:
                self._ring = torch.zeros(shape, dtype=torch.float32, device=where)
            except RuntimeError as error:
                size = self.n_seeds * self.capacity * self.row_width * 4 / 2**30
                raise SettingError(
                    f"buffer_size: {self.capacity} transitions of {self.n_seeds} seeds need {size:.1f} GiB on {where}, "
                    "which has less; lower buffer_size, train fewer seeds, or choose device=cpu"
                ) from error
            self._sent = torch.zeros(self.n_seeds, n_sent, dtype=torch.float32, device="cpu", pin_memory=is_cuda)
            self._arrived = torch.zeros(self.n_seeds, n_sent, dtype=torch.float32, device=where)
            self._hidden = torch.zeros(self.n_seeds, self.row_width - n_sent, dtype=torch.float32, device=where)
            self._positions, self._sizes = (torch.zeros(self.n_seeds, dtype=torch.int64, device=where) for _ in "ps")
            self._first = torch.arange(self.n_seeds, dtype=torch.int64, device=where) * self.capacity
        self._was_read = torch.cuda.Event() if is_cuda else None  # type: ignore[no-untyped-call]
        self._choices: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def hidden_keeper(self, hidden: Tensor) -> Callable[[], object]:
        """See :class:`Buffer`; the state stays on the device, and ``incoming["hidden"]`` means nothing."""
        return partial(self._hidden.copy_, hidden.squeeze(1))

    def begun(self, seed_index: int) -> Tensor:
        """See :class:`Buffer`."""
        self.incoming["hidden"][seed_index] = self._hidden[seed_index].cpu().numpy()
        return super().begun(seed_index)

    def begin_again(self, begun: Tensor, seed_index: int) -> None:
        """See :class:`Buffer`."""
        super().begin_again(begun, seed_index)
        self._hidden[seed_index].copy_(torch.from_numpy(self.incoming["hidden"][seed_index]))

    def add(self, seed_index: int, **fields: Any) -> None:
        """See :class:`Buffer`."""
        if "hidden" in fields:
            self._hidden[seed_index].copy_(torch.as_tensor(fields["hidden"], dtype=torch.float32, device=self._device))
        super().add(seed_index, **fields)

    def append(self, seed_indices: Sequence[int]) -> None:
        """Send the ``incoming`` transition of these seeds to their rings, over the oldest when a ring is full."""
        if self._was_read is not None:
            self._was_read.synchronize()  # long since done, unless nothing was acted in between
        self._sent.numpy()[...] = self._incoming[:, : self._sent.shape[1]]
        self._arrived.copy_(self._sent, non_blocking=True)
        if self._was_read is not None:
            self._was_read.record(torch.cuda.current_stream(self._device))
        chosen, moves = self._choice(tuple(seed_indices))
        row = torch.cat((self._arrived, self._hidden), 1)
        at = self._first + self._positions
        self._flat.index_copy_(0, at.index_select(0, chosen), row.index_select(0, chosen))
        self._positions.add_(moves).remainder_(self.capacity)
        self._sizes.add_(moves).clamp_(max=self.capacity)
        for k in seed_indices:
            self._position[k] = (self._position[k] + 1) % self.capacity
            self._size[k] = min(self._size[k] + 1, self.capacity)

    def _choice(self, seed_indices: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Name seeds on the device: by number, and as 1 among all seeds."""
        if seed_indices not in self._choices:
            with torch.inference_mode(False):
                moves = np.zeros(self.n_seeds, dtype=np.int64)
                moves[list(seed_indices)] = 1
                both = torch.tensor(seed_indices, dtype=torch.int64, device="cpu"), torch.from_numpy(moves)
                self._choices[seed_indices] = both[0].to(self._device), both[1].to(self._device)
        return self._choices[seed_indices]

    @property
    def _flat(self) -> Tensor:
        return self._ring.view(-1, self.row_width)

    def begin_copy(self, seed_index: int) -> tuple[Tensor, Callable[[], object]]:
        """See :class:`Buffer`; all rows come to the host at once."""
        return Buffer.begin_copy(self, seed_index)

    def _filled(self, seed_index: int, size: int) -> Tensor:
        return self._ring[seed_index : seed_index + 1, :size]

    def _overwrite(self, seed_index: int, rows: Array) -> None:
        self._ring[seed_index, : len(rows)].copy_(torch.from_numpy(rows))
        self._positions[seed_index] = int(self._position[seed_index])
        self._sizes[seed_index] = int(self._size[seed_index])

    def sample(self, uniform: Values, length: int, device: torch.device) -> Batch:
        """See :class:`ReplayBuffer`; ``uniform`` is a tensor on this buffer's device, as the batch is."""
        if self._size.max() < length:
            raise SettingError(f"buffer: a window of {length} steps was asked for, {self._size.max()} are stored")
        rows = torch.empty(*uniform.shape, length, self.row_width, dtype=torch.float32, device=self._device)
        self._read(uniform, rows)
        batch = self._batch(rows)
        return replace(batch, start=batch.start > 0.5)

    def windows(self, uniform: Values, length: int, device: torch.device) -> Windows:
        """See :class:`ReplayBuffer`; ``uniform`` is a tensor on this buffer's device, as the batch is."""
        with torch.inference_mode(False):
            rows = torch.zeros(*uniform.shape, length, self.row_width, dtype=torch.float32, device=self._device)
        return Windows(self._batch(rows), partial(self._read, uniform, rows))

    def _read(self, uniform: Values, out: Values) -> None:
        length = out.shape[2]
        n_starts = (self._sizes - (length - 1)).clamp_(min=1)
        begins = self._positions * (self._sizes == self.capacity)  # a full ring begins where the next row will go
        index = (uniform * n_starts.unsqueeze(1)).long() + begins.unsqueeze(1)
        index = index.unsqueeze(2) + torch.arange(length, dtype=torch.int64, device=self._device)
        index = index.remainder_(self.capacity) + self._first.view(-1, 1, 1)
        torch.index_select(self._flat, 0, index.view(-1), out=out.view(-1, self.row_width))
