"""The ring against a plain list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from velora.buffers import ReplayBuffer
from velora.core.errors import SettingError, ShapeError

CPU = torch.device("cpu")
O, A, H = 2, 1, 3  # noqa: E741


def make(capacity: int, n_seeds: int = 1) -> ReplayBuffer:
    return ReplayBuffer(capacity, n_seeds=n_seeds, obs_dim=O, action_dim=A, state_size=H)


def transition(number: int, *, start: bool = False) -> dict[str, Any]:
    """Make a transition in which every field tells its number."""
    return {
        "obs": np.full(O, number), "action": np.full(A, number / 1000), "reward": float(number),
        "next_obs": np.full(O, number + 1), "terminated": number % 3 == 0, "truncated": number % 5 == 0,
        "dt": 1.0 + number, "next_dt": 2.0 + number, "start": start, "hidden": np.full(H, number / 7),
    }  # fmt: skip


def uniform(batch_size: int, seed: int) -> Any:
    return np.random.default_rng(seed).random((1, batch_size))


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(1, 12),
    starts=st.lists(st.booleans(), min_size=1, max_size=40),
    length=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_window_is_a_run_of_the_newest_transitions(
    capacity: int, starts: list[bool], length: int, seed: int
) -> None:
    buffer = make(capacity)
    plain: list[int] = []
    for number, start in enumerate(starts):
        buffer.add(0, **transition(number, start=start))
        plain = [*plain, number][-capacity:]
    assert len(buffer) == len(plain)
    if len(plain) < length:
        with pytest.raises(SettingError, match="window"):
            buffer.sample(uniform(4, seed), length, CPU)
        return
    batch = buffer.sample(uniform(16, seed), length, CPU)
    assert batch.obs.shape == (1, 16, length, O)
    assert batch.hidden.shape == (1, 16, H)
    for row in range(16):
        numbers = batch.reward[0, row].int().tolist()
        assert numbers == list(range(numbers[0], numbers[0] + length))
        assert set(numbers) <= set(plain)
        assert batch.obs[0, row, :, 0].int().tolist() == numbers
        assert (batch.next_obs[0, row, :, 1] - 1).int().tolist() == numbers
        assert batch.terminated[0, row].bool().tolist() == [n % 3 == 0 for n in numbers]
        assert batch.truncated[0, row].bool().tolist() == [n % 5 == 0 for n in numbers]
        assert batch.start[0, row].tolist() == [starts[n] for n in numbers]
        torch.testing.assert_close(batch.dt[0, row], 1.0 + batch.reward[0, row])
        torch.testing.assert_close(batch.next_dt[0, row], 2.0 + batch.reward[0, row])
        torch.testing.assert_close(batch.hidden[0, row], torch.full((H,), numbers[0] / 7))


def test_all_windows_are_drawn_equally_often() -> None:
    buffer = make(5)
    for number in range(8):  # the ring has wrapped: it holds 3 to 7
        buffer.add(0, **transition(number))
    batch = buffer.sample(uniform(6000, 0), 3, CPU)
    first, counts = np.unique(batch.reward[0, :, 0].numpy(), return_counts=True)
    assert first.tolist() == [3, 4, 5]
    assert counts.min() > 1850


def test_seeds_have_rings_of_their_own() -> None:
    buffer = make(4, n_seeds=2)
    for number in range(6):
        buffer.add(1, **transition(number))
    buffer.add(0, **transition(100))
    assert len(buffer) == 1
    batch = buffer.sample(np.random.default_rng(0).random((2, 8)), 1, CPU)
    assert set(batch.reward[0].flatten().tolist()) == {100.0}
    assert set(batch.reward[1].flatten().tolist()) <= {2.0, 3.0, 4.0, 5.0}


@settings(max_examples=30, deadline=None)
@given(capacity=st.integers(1, 8), count=st.integers(0, 20), more=st.integers(0, 5))
def test_a_restored_ring_goes_on_like_the_original(capacity: int, count: int, more: int) -> None:
    original, restored = make(capacity), make(capacity)
    for number in range(count):
        original.add(0, **transition(number))
    state = original.state_dict(0)
    restored.load_state_dict(state["rows"].clone(), **state["counters"])
    for number in range(count, count + more):
        original.add(0, **transition(number))
        restored.add(0, **transition(number))
    assert len(restored) == len(original)
    if count + more:
        a, b = (x.sample(uniform(9, 1), 1, CPU) for x in (original, restored))
        assert torch.equal(a.reward, b.reward)
        assert torch.equal(a.hidden, b.hidden)


@settings(max_examples=40, deadline=None)
@given(old=st.integers(1, 9), new=st.integers(1, 9), count=st.integers(0, 25), more=st.integers(0, 12))
def test_a_ring_of_another_capacity_keeps_the_newest_in_order(old: int, new: int, count: int, more: int) -> None:
    before, after = make(old), make(new)
    for number in range(count):
        before.add(0, **transition(number))
    state = before.state_dict(0)
    after.load_state_dict(state["rows"].clone(), **state["counters"])
    for number in range(count, count + more):
        after.add(0, **transition(number))
    expected = [*list(range(count))[-old:], *range(count, count + more)][-new:]
    assert len(after) == len(expected)
    if expected:
        batch = after.sample(uniform(1, 0), len(expected), CPU)
        assert batch.reward[0, 0].int().tolist() == expected


@pytest.mark.parametrize(
    ("rows", "position", "size"), [((1, 3, 1), 3, 3), ((2, 3, 14), 3, 3), ((1, 3, 14), 4, 3), ((1, 3, 14), -1, 3)]
)
def test_rows_that_do_not_fit_are_refused(rows: tuple[int, ...], position: int, size: int) -> None:
    with pytest.raises(ShapeError, match="buffer"):
        make(8).load_state_dict(torch.zeros(rows), position=position, size=size)


def test_a_buffer_that_no_machine_holds_is_one_line() -> None:
    with pytest.raises(SettingError, match=r"buffer_size: 1000000000000000 transitions need .* GiB; choose fewer"):
        make(10**15)
    with pytest.raises(SettingError, match="at least 1"):
        make(0)
