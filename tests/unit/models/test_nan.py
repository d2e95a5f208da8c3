"""A NaN anywhere comes out: in the metrics of its update, and as an error that names it; no step is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.shared import KERNELS
from velora.buffers import RolloutBuffer
from velora.callbacks import Callback
from velora.core.errors import NonFiniteError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3

REPLAY: dict[str, Any] = {"warmup_steps": 20, "buffer_size": 40, "critic_units": (8, 8), "device": "cpu", "seed": 0}
ROLLOUT: dict[str, Any] = {
    "rollout_steps": 16,
    "sequence_length": 4,
    "critic_units": (8, 8),
    "device": "cpu",
    "seed": 0,
}
WINDOWS: dict[str, Any] = {"critic": "recurrent", "sequence_length": 3, "burn_in": 1}
AGENTS: dict[str, Callable[..., Agent]] = {
    "ddpg": lambda **own: LiquidDDPG(3, 4, 1, **REPLAY, **own),
    "td3": lambda **own: LiquidTD3(3, 4, 1, **REPLAY, **WINDOWS, **own),
    "sac": lambda **own: LiquidSAC(3, 4, 1, **REPLAY, **own),
    "redq": lambda **own: LiquidREDQ(3, 4, 1, updates_per_step=2, **REPLAY, **own),
    "choosing sac": lambda **own: LiquidSAC(4, 4, 2, discrete=True, **REPLAY, **own),
    "ppo": lambda **own: LiquidPPO(3, 4, 1, target_kl=0.05, n_epochs=2, **ROLLOUT, **own),
    "choosing ppo": lambda **own: LiquidPPO(4, 4, 2, discrete=True, n_epochs=2, **ROLLOUT, **own),
}


def state(agent: Agent) -> dict[str, torch.Tensor]:
    """Copy everything that a step of an optimizer changes."""
    kept = {name: flat.values for name, flat in agent.learner.flats.items()} | agent.learner.optimizer_state(0)
    return {name: value.clone() for name, value in kept.items()}


class _Poison(Callback):
    """Put NaN somewhere once, and keep what updates report from then on."""

    def __init__(self, where: str) -> None:
        self.where, self.at, self.reported = where, 34, list[dict[str, float]]()
        self.is_done = False
        self.before: dict[str, torch.Tensor] = {}

    def on_env_step(self, trainer: Any, agent: Any, transition: Any) -> None:
        if trainer.step < self.at or self.is_done:
            return
        self.is_done = True
        self.before = state(agent)
        if self.where in ("reward", "obs"):
            agent.buffer._rows[:, ::2, agent.buffer._columns[self.where]] = torch.nan
            return
        net, _, last = self.where.partition(" ")
        net = net if net in agent.networks else f"{net}_1"
        parameters = [p for name, p in agent.networks[net].named_parameters() if name != "log_std"]
        with torch.no_grad():
            parameters[-1 if last else 0].fill_(torch.nan)

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.is_done:
            self.reported.append({name: value.item() for name, value in outputs.items()})


@pytest.mark.parametrize("where", ["reward", "obs", "critic first", "critic last", "actor first"])
@pytest.mark.parametrize("clip", [1.0, None], ids=["clipped", "unclipped"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.some(50)
def test_a_nan_ends_the_run_and_is_reported(name: str, kernel: str, clip: float | None, where: str) -> None:
    agent, poison = AGENTS[name](kernel=kernel, grad_clip=clip), _Poison(where)
    env = "CartPole-v1" if agent.discrete else "Pendulum-v1"
    with pytest.raises(NonFiniteError) as caught:
        agent.train(env, 8, n_steps=100, progress_bar=False, summary=False, callbacks=[poison])
    assert poison.is_done
    if where == "actor first":  # it acts before it learns
        assert re.fullmatch(
            r"seed 0: after 34 steps: policy: gave the action .*; actor\.\S+ holds NaN .*", str(caught.value)
        )
        return
    place = f"{where} of the batch" if where in ("reward", "obs") else r"critic\S*"
    said = rf"seed 0: after \d+ steps: update \d+: \w+/loss is nan, for {place} holds NaN or infinity; that step .*"
    assert re.fullmatch(said, str(caught.value))
    if name in ("ppo", "choosing ppo"):  # which may have learned from whole windows before
        assert where not in ("reward", "obs") or all(value.isfinite().all() for value in state(agent).values())
    elif where in ("reward", "obs"):
        after = state(agent)
        assert after.keys() == poison.before.keys()
        for name, value in after.items():
            assert torch.equal(value, poison.before[name]), name
    newest = poison.reported[-1]
    losses = {name: value for name, value in newest.items() if name.endswith("/loss")}
    assert any(name.startswith("critic") for name in losses)
    assert any(value != value for value in losses.values())


@pytest.mark.parametrize("where", ["advantage", "returns"])
def test_a_nan_in_what_ppo_judged_makes_no_step(where: str) -> None:
    agent = AGENTS["ppo"](kernel="numpy")
    assert isinstance(agent, LiquidPPO)
    assert isinstance(agent.buffer, RolloutBuffer)
    rollout = agent.buffer.read(agent.device).windows(4)
    given = {name: torch.randn(1, 4, 4) for name in ("advantage", "returns")}
    given[where][0, 2, 1] = torch.nan
    before = {name: flat.values.clone() for name, flat in agent.learner.flats.items()}
    metrics = agent.minibatch_step(rollout, **given, critic_hidden=torch.zeros(1, 4, 0))
    net = "actor" if where == "advantage" else "critic"
    assert metrics[f"{net}/loss"].isnan().all()
    assert torch.equal(agent.learner.flats[net].values, before[net])
    assert agent.learner.guard.faults == {0: f"{net}/loss is nan"}
