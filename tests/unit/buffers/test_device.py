"""The ring on a device against the ring of the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from velora.buffers import Batch, DeviceReplayBuffer, ReplayBuffer
from velora.core.errors import SettingError
from velora.kernels.arrays.program import Program

CPU = torch.device("cpu")
S, O, A, H = 3, 2, 1, 4  # noqa: E741
SIZES: dict[str, Any] = {"n_seeds": S, "obs_dim": O, "action_dim": A, "state_size": H}


def both(capacity: int = 7) -> tuple[ReplayBuffer, DeviceReplayBuffer]:
    return ReplayBuffer(capacity, **SIZES), DeviceReplayBuffer(capacity, **SIZES, device=CPU)


def fill(buffer: ReplayBuffer, n_steps: int, *, first: int = 0) -> None:
    """Go ``n_steps`` steps, in which the second seed stops at the fifth, with states that stay in one place."""
    hidden = torch.zeros(S, 1, H)
    keep = buffer.hidden_keeper(hidden)
    for step in range(first, first + n_steps):
        generator = np.random.default_rng(step)
        for name, numbers in buffer.incoming.items():
            drawn = generator.random(numbers.shape)
            if name != "hidden":
                numbers[...] = drawn
        hidden.copy_(torch.from_numpy(drawn).unsqueeze(1))  # the last field is the state
        keep()
        hidden.zero_()
        buffer.append((0, 2) if step >= 5 else (0, 1, 2))


def uniform(batch_size: int, seed: int = 0) -> Any:
    drawn = np.random.default_rng(seed).random((S, batch_size))
    drawn[:, 0], drawn[:, -1] = 0.0, np.nextafter(1.0, 0.0)
    return drawn


def assert_equal(ours: Batch, theirs: Batch) -> None:
    for name in Batch.__slots__:
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("n_steps", [3, 5, 7, 8, 14, 24], ids="{} steps".format)
@pytest.mark.parametrize("length", [1, 2, 3])
def test_windows_are_those_of_the_host(n_steps: int, length: int) -> None:
    host, there = both()
    for buffer in (host, there):
        fill(buffer, n_steps)
    assert [there.size(k) for k in range(S)] == [host.size(k) for k in range(S)]
    drawn = uniform(50)
    batch = there.sample(torch.from_numpy(drawn), length, CPU)
    assert batch.start.dtype == torch.bool
    assert_equal(batch, host.sample(drawn, length, CPU))


def test_a_program_gathers_what_is_there_when_it_runs() -> None:
    host, there = both()
    drawn = uniform(9)
    numbers, program = torch.from_numpy(drawn.copy()), Program(torch.no_grad)
    with program.record():
        batch = there.gather(numbers, 2, CPU)
    assert not batch.obs.any()
    for n, first in enumerate((0, 4, 8)):
        for buffer in (host, there):
            fill(buffer, 4, first=first)
        drawn = uniform(9, seed=n)
        numbers.copy_(torch.from_numpy(drawn))
        program.run()
        assert_equal(batch, host.gather(drawn, 2, CPU))


@pytest.mark.parametrize("n_steps", [4, 7, 10])
@pytest.mark.parametrize("capacity", [7, 3, 20], ids="into {}".format)
def test_what_is_saved_is_what_the_host_saves_and_goes_on_alike(n_steps: int, capacity: int) -> None:
    host, there = both()
    for buffer in (host, there):
        fill(buffer, n_steps)
    again = both(capacity)
    for k in range(S):
        state = there.state_dict(k)
        assert torch.equal(state["rows"], host.state_dict(k)["rows"])
        assert state["counters"] == host.state_dict(k)["counters"]
        for buffer in again:
            buffer.load_state_dict(state["rows"].clone(), **state["counters"], seed_index=k)
    for first in (n_steps, n_steps + 2):
        drawn = uniform(20)
        assert_equal(again[1].sample(torch.from_numpy(drawn), 2, CPU), again[0].sample(drawn, 2, CPU))
        for buffer in again:
            fill(buffer, 2, first=first)


def test_a_transition_may_be_given_field_by_field() -> None:
    there = both()[1]
    fields = {name: np.full(numbers.shape[1], 0.5) for name, numbers in there.incoming.items()}
    there.add(1, **fields)
    assert [there.size(k) for k in range(S)] == [0, 1, 0]
    assert torch.equal(there.state_dict(1)["rows"], torch.full((1, 1, there.row_width), 0.5))


def test_a_transition_that_was_begun_is_put_back_as_on_the_host() -> None:
    host, there = both()
    for buffer in (host, there):
        fill(buffer, 3)
        begun = buffer.begun(2)
        fill(buffer, 2, first=3)
        buffer.begin_again(begun, 2)
        buffer.append((2,))
    assert torch.equal(host.begun(2), there.begun(2))
    assert torch.equal(host.state_dict(2)["rows"], there.state_dict(2)["rows"])
    rows = host.state_dict(2)["rows"][0]
    assert torch.equal(rows[5], rows[2])


def test_rows_that_do_not_fit_the_device_say_what_to_lower() -> None:
    with pytest.raises(SettingError, match=r"^buffer_size: 10{13} .* GiB on cpu, .*lower buffer_size") as caught:
        DeviceReplayBuffer(10**13, **SIZES, device=CPU)
    assert "\n" not in str(caught.value)


def test_too_long_a_window_is_refused() -> None:
    with pytest.raises(SettingError, match="a window of 2 steps was asked for, 0 are stored"):
        both()[1].sample(torch.zeros(S, 4, dtype=torch.float64), 2, CPU)


def test_nothing_waits_for_the_device_or_asks_for_its_values() -> None:
    """On a device that has shapes but no values, whatever looked at a value would fail."""
    meta = torch.device("meta")
    there = DeviceReplayBuffer(7, **SIZES, device=meta)
    keep = there.hidden_keeper(torch.zeros(S, 1, H, device=meta))
    numbers, program = torch.zeros(S, 5, dtype=torch.float64, device=meta), Program(torch.no_grad)
    with program.record():
        batch = there.gather(numbers, 3, meta)
    for rows in ((0, 1, 2), (0, 2)) * 5:
        keep()
        there.append(rows)
        program.run()
    assert batch.obs.shape == there.sample(numbers, 3, meta).obs.shape == (S, 5, 3, O)
