"""The rollout buffer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from velora.buffers import RolloutBuffer
from velora.core.errors import SettingError

CPU = torch.device("cpu")


def make(capacity: int = 6, n_seeds: int = 2) -> RolloutBuffer:
    return RolloutBuffer(capacity, n_seeds=n_seeds, obs_dim=2, action_dim=1, state_size=3)


def fill(buffer: RolloutBuffer, seed_index: int, steps: range) -> None:
    for i in steps:
        buffer.add(
            seed_index, obs=[i, -i], action=10.0 * i, reward=i, next_obs=[i + 1, 0], terminated=0, truncated=i == 3,
            dt=1.0, next_dt=2.0, start=i == 0, log_prob=-0.5 * i, hidden=[i, i, i],
        )  # fmt: skip


def test_it_reads_back_what_went_in_and_begins_anew() -> None:
    buffer = make()
    fill(buffer, 1, range(6))
    assert [buffer.is_full(k) for k in range(2)] == [False, True]
    rollout = buffer.read(CPU)
    assert rollout.obs[1, 0].tolist() == [[i, -i] for i in range(6)]
    assert rollout.log_prob[1, 0].tolist() == [-0.5 * i for i in range(6)]
    assert rollout.truncated[1, 0].tolist() == [0, 0, 0, 1, 0, 0]
    assert (rollout.action.shape, rollout.hidden.shape, rollout.dt.shape) == ((2, 1, 6, 1), (2, 1, 6, 3), (2, 1, 6))
    fill(buffer, 0, range(2))
    buffer.clear((1,))
    assert [buffer.size(k) for k in range(2)] == [2, 0]
    fill(buffer, 1, range(7, 8))
    assert buffer.read(CPU).reward[1, 0, 0] == 7.0


def test_windows_are_consecutive_and_each_seed_takes_its_own() -> None:
    buffer = make()
    for k in range(2):
        fill(buffer, k, range(6))
    windows = buffer.read(CPU).windows(2)
    assert windows.reward[0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert windows.hidden.shape == (2, 3, 2, 3)
    taken = windows.take(torch.tensor([[2, 0], [1, 1]]))
    assert taken.reward.tolist() == [[[4, 5], [0, 1]], [[2, 3], [2, 3]]]
    assert taken.obs.shape == (2, 2, 2, 2)


def step_of(*numbers: int) -> dict[str, object]:
    """Make a step of two environments, told apart by a number."""
    own = np.reshape(numbers, (2, 1))
    return dict.fromkeys(("obs", "next_obs"), np.hstack([own, -own])) | dict.fromkeys(
        ("action", "reward", "terminated", "truncated", "dt", "next_dt", "start", "log_prob", "hidden"), own
    )


def test_environments_of_a_seed_lie_side_by_side() -> None:
    buffer = RolloutBuffer(4, n_seeds=2, n_envs=2, obs_dim=2, action_dim=1, state_size=3)
    assert buffer.incoming["obs"].shape == (4, 2)
    for t in range(4):
        assert not buffer.is_full(1)
        buffer.add(1, **step_of(t, 10 + t))
    assert [buffer.is_full(k) for k in range(2)] == [False, True]
    rollout = buffer.read(CPU)
    assert rollout.reward[1].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
    assert rollout.obs[1, 1].tolist() == [[10, -10], [11, -11], [12, -12], [13, -13]]
    assert (rollout.hidden.shape, rollout.action.shape) == ((2, 2, 4, 3), (2, 2, 4, 1))
    windows = rollout.windows(2)
    assert windows.reward[1].tolist() == [[0, 1], [2, 3], [10, 11], [12, 13]]
    buffer.clear((1,))
    buffer.add(1, **step_of(7, 8))
    assert buffer.read(CPU).reward[1, :, 0].tolist() == [7, 8]


def test_a_half_full_rollout_of_several_environments_goes_on_where_it_was_saved() -> None:
    first, again, whole = (
        RolloutBuffer(4, n_seeds=1, n_envs=2, obs_dim=2, action_dim=1, state_size=3) for _ in range(3)
    )
    for t in range(4):
        (first if t < 3 else again).add(0, **step_of(t, 10 + t))
        whole.add(0, **step_of(t, 10 + t))
        if t == 2:
            state = first.state_dict(0)
            assert state["counters"] == {"size": 6, "position": 6}
            again.load_state_dict(state["rows"].clone(), **state["counters"])
    assert again.is_full(0)
    assert torch.equal(again.read(CPU).obs, whole.read(CPU).obs)


@pytest.mark.parametrize("capacity", [6, 9, 4])
@pytest.mark.parametrize("steps", [4, 6])
def test_a_rollout_goes_on_where_it_was_saved(steps: int, capacity: int) -> None:
    buffer, again = make(), make(capacity)
    fill(buffer, 1, range(steps))
    state = buffer.state_dict(1)
    again.load_state_dict(state["rows"].clone(), **state["counters"], seed_index=0)
    kept = min(steps, capacity)
    assert again.size(0) == kept
    expected = [float(i) for i in range(steps - kept, steps)]
    assert again.read(CPU).reward[0, 0, :kept].tolist() == expected
    if kept < capacity:
        fill(again, 0, range(steps, steps + 1))
        assert np.array_equal(again.read(CPU).reward[0, 0, : kept + 1], [*expected, steps])


def test_an_empty_rollout_is_refused() -> None:
    with pytest.raises(SettingError, match="rollout_steps: expected at least 1 transition, got 0"):
        make(0)
