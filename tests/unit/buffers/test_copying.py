"""A copy of a ring is what the ring was when it was begun, whatever comes in before it is finished."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from velora.buffers import ReplayBuffer, copying
from velora.buffers.rollout import RolloutBuffer


def make(n_rows: int, *, capacity: int = 8, n_seeds: int = 1, **more: Any) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity, n_seeds=n_seeds, obs_dim=2, action_dim=1, state_size=3, **more)
    add(buffer, n_rows)
    return buffer


def add(buffer: ReplayBuffer, n_rows: int, *, value: float = 0.0) -> None:
    for number in range(n_rows):
        for k in range(buffer.n_seeds):
            buffer.incoming["obs"][...] = value + number + 1
            buffer.append((k,))


@pytest.mark.parametrize("head", [1, 3, 8, 100])
@pytest.mark.parametrize("n_rows", range(1, 20))
def test_rows_that_come_in_do_not_change_it(monkeypatch: pytest.MonkeyPatch, head: int, n_rows: int) -> None:
    monkeypatch.setattr(copying, "HEAD_ROWS", head)
    buffer = make(n_rows, n_seeds=2)
    before = [buffer.state_dict(k)["rows"].clone() for k in range(2)]
    copies = [buffer.begin_copy(k) for k in range(2)]
    add(buffer, min(head, len(buffer)), value=100.0)  # as many as may come in without waiting
    for (rows, finish), expected in zip(copies, before, strict=True):
        finish()
        assert torch.equal(rows, expected)
    add(buffer, 20)
    for (rows, _), expected in zip(copies, before, strict=True):
        assert torch.equal(rows, expected)
    assert buffer._copies == {}


def test_a_row_that_is_not_copied_yet_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "HEAD_ROWS", 3)
    buffer = make(11)
    before = buffer.state_dict(0)["rows"].clone()
    rows, finish = buffer.begin_copy(0)
    add(buffer, 3, value=100.0)
    writer = threading.Thread(target=add, args=(buffer, 1), kwargs={"value": 200.0})
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    finish()
    writer.join(10)
    assert not writer.is_alive()
    assert torch.equal(rows, before)
    assert float(buffer._rows[0, (11 + 3) % 8, 0]) == 201.0


def test_bytes_are_copied_as_bytes() -> None:
    buffer = make(5, as_bytes=True)
    before = buffer.state_dict(0)["rows"].clone()
    rows, finish = buffer.begin_copy(0)
    finish()
    assert rows.dtype == torch.uint8
    assert torch.equal(rows, before)


def test_an_empty_buffer_and_a_rollout_are_copied() -> None:
    rows, finish = make(0).begin_copy(0)
    finish()
    assert rows.shape[1] == 0
    rollout = RolloutBuffer(4, n_seeds=1, obs_dim=2, action_dim=1, state_size=3)
    rollout.incoming["obs"][...] = 1.0
    rollout.append((0,))
    before = rollout.state_dict(0)["rows"].clone()
    rows, finish = rollout.begin_copy(0)
    rollout.clear((0,))
    rollout.incoming["obs"][...] = 2.0
    rollout.append((0,))
    finish()
    assert torch.equal(rows, before)
