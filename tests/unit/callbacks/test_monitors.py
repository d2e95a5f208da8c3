"""The callbacks that measure: what they send, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.callbacks.small_run import logged, make
from velora.callbacks import Callback, DeviceStats, GradientMonitor, LearningRateMonitor, Schedule, Throughput
from velora.core.errors import SettingError
from velora.models import LiquidPPO, LiquidTD3

# A run has 6 episodes of 6 steps; the first update is made in the fifth step, so that there are 32.


def test_learning_rates_as_they_are(tmp_path: Path) -> None:
    change = Schedule("critic_lr", start=0.01, end=0.0, steps=10, every=1)
    found = logged(tmp_path, change, LearningRateMonitor(every=10))
    assert found["learning_rate/actor"] == [(14, 3e-4), (24, 3e-4), (34, 3e-4)]
    assert found["learning_rate/critic"] == [(14, 0.0), (24, 0.0), (34, 0.0)]


def test_a_rate_that_a_callback_of_one_s_own_sets_is_told(tmp_path: Path) -> None:
    class Halve(Callback):
        def on_train_start(self, trainer: Any, agent: Any) -> None:
            agent.optimizers["actor"].param_groups[0]["lr"] = 1.5e-4

    assert logged(tmp_path, Halve(), LearningRateMonitor(every=32))["learning_rate/actor"] == [(36, 1.5e-4)]


class Norms(Callback):
    """Compute the norms of gradients where they are to be seen, before they are clipped."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {"critic": [], "actor": []}  # the order in which they are improved

    def on_after_backward(self, trainer: Any, agent: Any) -> None:
        name = min(self.seen, key=lambda name: len(self.seen[name]))
        squares = [p.grad.square().sum() for p in agent.networks[name].parameters() if p.grad is not None]
        self.seen[name].append(float(sum(squares)) ** 0.5)


def test_gradient_norms_are_those_before_clipping(tmp_path: Path) -> None:
    """Of recorded updates, and of those that are made step by step, to the same numbers."""
    recorded = logged(tmp_path / "recorded", GradientMonitor(every=8), agent=make(grad_clip=1e-3))
    norms = Norms()
    stepwise = logged(tmp_path / "stepwise", GradientMonitor(every=8), norms, agent=make(grad_clip=1e-3))
    assert recorded["gradient/actor"] == stepwise["gradient/actor"]
    assert [value for _, value in recorded["gradient/critic"]] == pytest.approx(
        [norms.seen["critic"][at] for at in (7, 15, 23, 31)], rel=1e-5
    )
    assert max(value for _, value in recorded["gradient/critic"]) > 1e-3


def test_a_network_that_isn_t_improved_at_every_update_keeps_its_newest_norm(tmp_path: Path) -> None:
    found = logged(tmp_path, GradientMonitor(every=2), agent=make(LiquidTD3, policy_delay=4))
    assert found.keys() >= {"gradient/actor", "gradient/critic_1", "gradient/critic_2"}
    values = [value for _, value in found["gradient/actor"]]
    assert values[0] == values[1] != values[2]


def test_norms_of_rollouts_and_of_seeds(tmp_path: Path) -> None:
    agent = make(LiquidPPO, seeds=[4, 5], rollout_steps=8, sequence_length=2)
    found = logged(tmp_path, GradientMonitor(every=1), agent=agent)
    assert len(found["seed4/gradient/actor"]) == 4
    assert found["seed4/gradient/actor"] != found["seed5/gradient/actor"]


def test_throughput(tmp_path: Path) -> None:
    found = logged(tmp_path, Throughput(every=10))
    assert [step for step, _ in found["throughput/steps_per_second"]] == [10, 20, 30]
    seconds = [0.0, *(value for _, value in found["throughput/seconds"])]
    assert seconds == sorted(seconds)
    for at in (1, 2):
        spent = seconds[at + 1] - seconds[at]
        assert found["throughput/steps_per_second"][at][1] * spent == pytest.approx(10, rel=1e-6)
        assert found["throughput/updates_per_second"][at][1] * spent == pytest.approx(10, rel=1e-6)


def test_device_stats(tmp_path: Path) -> None:
    found = logged(tmp_path, DeviceStats(every=18))
    assert [step for step, _ in found["device/cpu_cores"]] == [18, 36]
    assert all(0.0 < value < 64.0 for _, value in found["device/cpu_cores"])
    assert all(20.0 < value < 100_000.0 for _, value in found["device/memory_mib"])  # PyTorch alone takes 100
    assert not any("gpu" in name for name in found)


@pytest.mark.parametrize("kind", [DeviceStats, GradientMonitor, LearningRateMonitor, Throughput])
def test_bad_settings(kind: Any) -> None:
    with pytest.raises(SettingError, match="every: expected a whole number >= 1, got 0"):
        kind(every=0)
