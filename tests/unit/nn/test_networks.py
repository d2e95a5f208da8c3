"""The actor and the critic."""

from __future__ import annotations

import pytest
import torch

from tests.unit.nn.acting import along, step
from velora.core.errors import SettingError, ShapeError
from velora.nn.linear import Linear
from velora.nn.networks.critics import QNetwork
from velora.nn.networks.policies import LiquidActor, LiquidHead

from . import reference as ref


@pytest.mark.parametrize("variant", ref.VARIANTS)
def test_actions_lie_between_minus_one_and_one(variant: str) -> None:
    actor = LiquidActor(ref.build(variant, seeds=(0, 1)))
    obs, dt = 50.0 * ref.noise(2, 6, 5, 3), ref.irregular(2, 6, 5)
    actions, hidden = along(actor, obs, actor.initial_state(6), dt)
    assert actions.shape == (2, 6, 5, actor.cell.output_size)
    assert hidden.shape == (2, 6, actor.cell.state_size)
    assert actions.abs().max() <= 1.0


@pytest.mark.parametrize("variant", ["cfc", "cfc pure", "ltc mixed"])
def test_acting_and_learning_compute_the_same(variant: str) -> None:
    actor = LiquidActor(ref.build(variant))
    obs, dt = ref.noise(1, 2, 4, 3), ref.irregular(1, 2, 4)
    learned, last = along(actor, obs, actor.initial_state(2), dt)
    states, _ = actor.states(obs, actor.initial_state(2), dt)
    hidden = actor.initial_state(2)
    with torch.inference_mode():
        for t in range(4):
            action, hidden = step(actor, obs[:, :, t], hidden, dt[:, :, t])
            assert action.equal(learned[:, :, t])
            assert hidden.equal(states[:, :, t])
    assert hidden.equal(last)


def test_the_motor_neurons_of_a_bounded_cell_are_the_action() -> None:
    actor = LiquidActor(ref.build("cfc"))
    action, hidden = step(actor, ref.noise(1, 4, 3), actor.initial_state(4), torch.ones(1, 4))
    assert action.equal(hidden[..., -2:])


def test_an_unbounded_readout_goes_through_tanh() -> None:
    actor = LiquidActor(ref.build("ltc"))
    action, hidden = step(actor, ref.noise(1, 4, 3), actor.initial_state(4), torch.ones(1, 4))
    torch.testing.assert_close(action, torch.tanh(hidden[..., :2]))


def test_resets_reach_the_cell() -> None:
    actor = LiquidActor(ref.build("cfc"))
    obs, hidden, dt = ref.noise(1, 2, 1, 3), ref.noise(1, 2, 8), torch.ones(1, 2, 1)
    reset, _ = along(actor, obs, hidden, dt, torch.ones(1, 2, 1, dtype=torch.bool))
    fresh, _ = along(actor, obs, actor.initial_state(2), dt)
    assert reset.equal(fresh)
    assert not reset.equal(along(actor, obs, hidden, dt)[0])


@pytest.mark.parametrize(("variant", "n_read"), [("cfc", 8), ("ltc", 8), ("cfc mixed", 8)])
def test_a_gaussian_policy_reads_two_numbers_per_action_off_all_neurons(variant: str, n_read: int) -> None:
    """And not off the memory that comes after them."""
    cell = ref.build(variant, seeds=(0, 1))
    actor = LiquidHead(cell, 2 * cell.output_size, ref.generators(2))
    obs, dt = ref.noise(2, 3, 4, 3), ref.irregular(2, 3, 4)
    out, states, last = actor.unroll((obs,), None, dt, None)
    assert actor.head.weight.shape == (2, 4, n_read)
    assert states is not None
    assert last is not None
    expected = torch.einsum("sbth,skh->sbtk", states[..., :n_read], actor.head.weight)
    torch.testing.assert_close(out, expected + actor.head.bias[:, None, None])  # type: ignore[index]
    stepped = actor.initial_state(3)
    for t in range(4):
        stepped = actor.cell(obs[:, :, t], stepped, dt[:, :, t])
        torch.testing.assert_close(states[:, :, t], stepped)
    assert last.equal(states[:, :, -1])


def test_the_critic_is_a_plain_network_per_seed() -> None:
    critic = QNetwork(3, 2, units=(8, 4), generators=ref.generators(2))
    obs, action = ref.noise(2, 5, 3), ref.noise(2, 5, 2, seed=9)
    values = critic(obs, action)
    assert values.shape == (2, 5)
    for k in range(2):
        x = torch.cat([obs[k], action[k]], 1)
        for index, layer in enumerate(critic.layers):
            assert isinstance(layer, Linear)
            assert layer.bias is not None
            x = torch.nn.functional.linear(x, layer.weight[k], layer.bias[k])
            x = torch.relu(x) if index < 2 else x
        torch.testing.assert_close(values[k], x.squeeze(1))


def test_a_critic_keeps_its_rank_for_single_sizes() -> None:
    critic = QNetwork(1, 1, units=(), generators=ref.generators(1))
    assert critic(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1)).shape == (1, 1)


@pytest.mark.parametrize(
    ("obs", "action"),
    [((1, 5, 4), (1, 5, 2)), ((1, 5, 3), (1, 5, 1)), ((1, 5, 3), (1, 4, 2)), ((5, 3), (5, 2)), ((2, 5, 3), (2, 5, 2))],
)
def test_a_critic_refuses_other_shapes(obs: tuple[int, ...], action: tuple[int, ...]) -> None:
    critic = QNetwork(3, 2, generators=ref.generators(1))
    with pytest.raises(ShapeError, match=r"QNetwork: expected obs \(1, N, 3\) and action \(1, N, 2\), got"):
        critic(torch.zeros(obs), torch.zeros(action))


def test_a_critic_refuses_sizes_below_one() -> None:
    with pytest.raises(SettingError, match="QNetwork: expected sizes >= 1"):
        QNetwork(3, 2, units=(64, 0), generators=ref.generators(1))
