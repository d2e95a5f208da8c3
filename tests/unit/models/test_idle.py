"""Settings that have no effect beside others: that it is so, and that it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

from velora.core.errors import SettingError
from velora.envs.wrappers import HoldAction
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3
from velora.models.idle import IDLE, Idle, taken_over

Made = tuple[Callable[..., Agent], dict[str, Any], dict[str, Any]]
"""An agent, what it is made with, and the setting that has no effect then."""

CASES: list[tuple[str, Made]] = [
    ("initial_std", (LiquidPPO, {"discrete": True}, {"initial_std": 0.3})),
    ("noise_decay_steps", (LiquidDDPG, {}, {"noise_decay_steps": 50})),
    ("noise_decay_steps", (LiquidTD3, {"noise_final_std": None}, {"noise_decay_steps": 50})),
    ("critic_units", (LiquidDDPG, {"critic": "liquid"}, {"critic_units": (8,)})),
    ("critic_units", (LiquidSAC, {"critic": "liquid", "discrete": True}, {"critic_units": [8, 8]})),
    ("sparsity", (LiquidDDPG, {"wiring": "dense"}, {"sparsity": 0.8})),
    ("sparsity", (LiquidPPO, {"wiring": "dense", "cell": "ltc"}, {"sparsity": 0.8})),
    ("noise_correlation", (LiquidDDPG, {"noise_std": 0.0}, {"noise_correlation": 0.1})),
    ("noise_correlation", (LiquidTD3, {"noise_std": 0.0, "noise_final_std": 0.0}, {"noise_correlation": 0.1})),
    ("target_noise", (LiquidTD3, {"target_noise_clip": 0.0}, {"target_noise": 0.4})),
    ("target_noise", (LiquidTD3, {"gamma": 0.0}, {"target_noise": 0.4})),
    ("target_noise_clip", (LiquidTD3, {"target_noise": 0.0}, {"target_noise_clip": 0.1})),
    ("target_noise_clip", (LiquidTD3, {"gamma": 0.0}, {"target_noise_clip": 0.1})),
    ("tau", (LiquidDDPG, {"gamma": 0.0}, {"tau": 0.3})),
    ("tau", (LiquidSAC, {"gamma": 0.0}, {"tau": 0.3})),
    ("n_target_critics", (LiquidREDQ, {"gamma": 0.0, "updates_per_step": 2}, {"n_target_critics": 1})),
    ("gae_lambda", (LiquidPPO, {"gamma": 0.0}, {"gae_lambda": 0.5})),
]
ONLY_TOLD: list[tuple[str, Made]] = [
    ("image_range", (LiquidDDPG, {}, {"image_range": (0.0, 1.0)})),
    ("burn_in", (LiquidDDPG, {"cell": "memoryless"}, {"burn_in": 2})),
    ("time", (LiquidDDPG, {"cell": "gru"}, {"time": "both"})),
]
"""What can't be trained, or has an effect on nothing but which windows are drawn, or acts as another value does."""
REFUSED = [row.setting for row in IDLE if row.is_refused]


def make(made: Made, *, idle: bool = True) -> Agent:
    kind, beside, setting = made
    small: dict[str, Any] = {"device": "cpu", "seed": 1}
    small |= {"rollout_steps": 16} if kind is LiquidPPO else {"warmup_steps": 10, "buffer_size": 50}
    discrete = bool(beside.get("discrete"))
    return kind(4 if discrete else 3, 6, 2 if discrete else 1, **small, **beside, **(setting if idle else {}))


def trained(made: Made, *, idle: bool) -> dict[str, torch.Tensor]:
    with taken_over():
        agent = make(made, idle=idle)
    env: Any = "CartPole-v1" if agent.discrete else "Pendulum-v1"
    if agent.sees_time:
        env = HoldAction(gym.make(env), [1, 2])
    agent.train(env, 8, n_steps=40, progress_bar=False, summary=False)
    assert agent.progress[0].update > 0
    return {
        f"{net}.{name}": v for net in agent.learning_rates() for name, v in agent.networks[net].state_dict().items()
    }


@pytest.mark.parametrize(("setting", "made"), CASES)
def test_it_is_so(setting: str, made: Made) -> None:
    """With it and without it training leads to the same bits."""
    assert setting in made[2]
    one, other = (trained(made, idle=idle) for idle in (False, True))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_both_acts_as_input_where_the_cell_has_no_gate_for_the_time() -> None:
    for cell in ("gru", "lstm", "memoryless"):
        one, other = (trained((LiquidDDPG, {"cell": cell}, {"time": way}), idle=True) for way in ("input", "both"))
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("setting", "made"), [*CASES, *ONLY_TOLD])
def test_it_is_told_in_a_line_that_names_both(setting: str, made: Made, caplog: pytest.LogCaptureFixture) -> None:
    if setting in REFUSED:
        with pytest.raises(SettingError) as error:
            make(made)
        said = str(error.value)
    else:
        make(made)
        said = caplog.messages[0]
        assert caplog.records[0].levelno == logging.WARNING
    assert len(caplog.messages) == (setting not in REFUSED)
    assert said.startswith(f"{setting}: ")
    assert " has no effect with " in said
    assert any(all(f"{name}=" in said for name in row.where) for row in IDLE if row.setting == setting)
    assert "\n" not in said


def test_every_row_of_the_table_is_tried() -> None:
    def tried(row: Idle) -> bool:
        for setting, made in (*CASES, *ONLY_TOLD):
            with taken_over(is_known=True):
                agent = make(made)
            default = getattr(make((made[0], made[1], {})).settings, setting)
            if setting == row.setting and row.holds(dict(agent.settings), default):
                return True
        return False

    assert [row for row in IDLE if not tried(row)] == []


@pytest.mark.parametrize(
    "made",
    [
        (LiquidPPO, {"discrete": True}, {"initial_std": 1.0}),
        (LiquidPPO, {}, {"initial_std": 0.3}),
        (LiquidDDPG, {"noise_final_std": 0.1}, {"noise_decay_steps": 50}),
        (LiquidDDPG, {"critic": "recurrent", "sequence_length": 2}, {"critic_units": (8, 8)}),
        (LiquidDDPG, {"critic": "liquid"}, {"critic_units": [64, 64]}),
        (LiquidDDPG, {"cell": "gru"}, {"burn_in": 2}),
        (LiquidDDPG, {"cell": "gru"}, {"time": "none"}),
        (LiquidDDPG, {"cell": "leaky"}, {"time": "both"}),
        (LiquidDDPG, {"noise_std": 0.0, "noise_final_std": 0.1}, {"noise_correlation": 0.1}),
        (LiquidTD3, {"target_noise": 0.0}, {"target_noise_clip": 0.0}),
        (LiquidDDPG, {"critic": "recurrent", "sequence_length": 2}, {"mixed_memory": True}),
    ],
    ids=lambda made: str(made[1:]),
)
def test_nothing_is_told_where_there_is_an_effect(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    make(made)
    assert not caplog.messages


def test_what_was_saved_with_such_a_setting_is_loaded_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the release wrote it that took everything."""
    with taken_over(is_known=True):
        agent = LiquidDDPG(3, 6, 1, noise_decay_steps=50, device="cpu", seeds=[1, 2])
        assert not caplog.messages
    agent.seed(0).save(tmp_path / "ep1")
    assert not caplog.messages
    loaded = LiquidDDPG.load(tmp_path / "ep1")
    assert loaded.settings.noise_decay_steps == 50
    assert caplog.messages == [
        (
            "noise_decay_steps: 50 has no effect with noise_final_std=None, since the noise goes to no other "
            "deviation; leave noise_decay_steps out, or change noise_final_std"
        )
    ]
    with pytest.raises(SettingError, match=r"^noise_decay_steps: 50 has no effect with noise_final_std=None"):
        LiquidDDPG(3, 6, 1, noise_decay_steps=50)


def test_an_agent_of_another_class_has_defaults_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(LiquidDDPG):
        def __init__(self, state_dim: int, n_neurons: int, action_dim: int, *, noise_decay_steps: int = 9) -> None:
            super().__init__(state_dim, n_neurons, action_dim, noise_decay_steps=noise_decay_steps, device="cpu")

    with pytest.raises(SettingError, match=r"^noise_decay_steps: 10000 has no effect"):
        Slow(3, 6, 1, noise_decay_steps=10_000)
    assert not caplog.messages
