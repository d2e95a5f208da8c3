"""Steps that are recorded: what they may do, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from tests.unit.models.experience import fill, learn, parameters
from velora.buffers import Batch
from velora.core.errors import RecordingError
from velora.kernels.recording_guard import RecordingGuard
from velora.models import LiquidDDPG, LiquidTD3


def _filled(kind: type[LiquidDDPG] = LiquidDDPG, **settings: Any) -> LiquidDDPG:
    agent = kind(3, 6, 2, device="cpu", seeds=[1, 2, 3], warmup_steps=0, buffer_size=90, **settings)
    generator = np.random.default_rng(0)
    for k in range(3):
        fill(agent, k, generator, 100 + k)
    agent.configure_training()
    return agent


class Clamping(LiquidDDPG, replays=True):
    """Bounds rewards by itself, which a recording can't see."""

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        batch.reward.clamp_(-1.0, 1.0)
        return super().training_step(batch)


class Plain(Clamping):
    """Has a step of its own, and promises nothing of it."""

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        return super().training_step(batch)


@pytest.mark.parametrize("kernel", KERNELS)
def test_arithmetic_outside_of_the_recorded_backend_is_refused(kernel: str) -> None:
    agent = _filled(Clamping, kernel=kernel)
    with pytest.raises(RecordingError) as refused:
        learn(agent)
    assert str(refused.value) == (
        "training_step: expected calls of self.learner while recording, got aten.clamp_; use a method of "
        "self.learner.backend, or declare the class with replays=False"
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_refused_recording_leaves_nothing_behind(kernel: str) -> None:
    with pytest.raises(RecordingError):
        learn(_filled(Clamping, kernel=kernel))
    agent, other = _filled(kernel=kernel), _filled(kernel=kernel)
    other.record = False
    other.configure_training()
    assert learn(agent).keys() == learn(other).keys()
    for name, value in parameters(agent, "actor").items():
        assert torch.equal(value, parameters(other, "actor")[name]), name


def test_the_promise_is_not_inherited_and_can_be_switched_off() -> None:
    plain, off = _filled(Plain), _filled(Clamping)
    off.record = False
    off.configure_training()
    assert learn(plain)["critic/loss"].equal(learn(off)["critic/loss"])


@pytest.mark.parametrize(
    "action",
    [
        lambda x: x + 1.0, lambda x: x.clone(), lambda x: float(x[0, 0]), lambda x: x.mul_(2.0), lambda x: x.zero_(),
        lambda x: x.double(), lambda x: torch.cat((x, x)), lambda x: torch.randn(3), lambda x: torch.rand_like(x),
        lambda x: x.copy_(torch.ones(2, 3)), lambda x: torch.zeros_like(x).fill_(x[0, 0]), lambda x: x.t().reshape(6),
        lambda x: bool((x > 0.0).any()),
    ],
)  # fmt: skip
def test_what_computes_is_refused(action: Callable[[Tensor], Any]) -> None:
    given = torch.ones(2, 3)
    expected = r"^step: expected calls of self\.learner while recording, got aten\."
    with pytest.raises(RecordingError, match=expected), RecordingGuard("step"):
        action(given)
    assert torch.equal(given, torch.ones(2, 3))


def test_views_allocations_and_constants_are_let_through() -> None:
    given = torch.arange(6.0).view(2, 3)
    with RecordingGuard("step"):
        turned, empty, zeros = given.t().unsqueeze(0).squeeze(0)[:, 1:], torch.empty_like(given), torch.zeros(2, 3)
        zeros[:, 1:].fill_(0.5)
        flat, full = given.flatten(), torch.full((2,), 3.0)
        parts = given.split(1, 1)
    assert turned.tolist() == [[3.0], [4.0], [5.0]]
    assert empty.shape == (2, 3)
    assert zeros.tolist() == [[0.0, 0.5, 0.5]] * 2
    assert flat.data_ptr() == given.data_ptr()
    assert full.tolist() == [3.0, 3.0]
    assert parts[2].tolist() == [[2.0], [5.0]]


def test_one_agent_may_compute_while_another_records() -> None:
    """The guard belongs to its thread and ends with the recording."""
    learn(_filled(LiquidTD3))  # type: ignore[arg-type]
    assert float(torch.ones(2) @ torch.ones(2)) == 2.0


@pytest.mark.slow
def test_recording_does_not_import_the_compiler_of_torch() -> None:
    """It would take a second or more, in the middle of a run."""
    code = (
        "import sys; from velora.models import LiquidDDPG; agent = LiquidDDPG(3, 6, 1, device='cpu', warmup_steps=5); "
        "agent.train('Pendulum-v1', 4, n_steps=10, progress_bar=False, summary=False); "
        "assert agent.experience.updates.is_recorded; assert agent.progress[0].update == 5; "
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
