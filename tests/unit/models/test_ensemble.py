"""Ensembles of many critics, and a random subset of them in the target: what an agent needs that isn't made yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.unit.models.experience import fill, learn, parameters
from velora.buffers import Batch
from velora.core.types import Array
from velora.models import LiquidTD3
from velora.models.experience import Replay
from velora.models.make_networks import make_actor, make_critic
from velora.models.recurrence import next_actions, next_values, policy_values, stored_values
from velora.ops.losses import mean_gradient

CRITICS = tuple(f"critic_{k}" for k in range(1, 11))
SUBSET = 2
FAR = 1e6


def draw_subset(generator: np.random.Generator, out: Array) -> None:
    """Leave two critics of ten as they are, and put the others far above them, at every position."""
    out[...] = FAR
    for row in out:
        row[generator.choice(len(CRITICS), SUBSET, replace=False)] = 0.0


class Ensemble(LiquidTD3, replays=True):
    """Learns from the smallest of two critics, drawn from ten for each update, with ten updates in a step."""

    def configure_networks(self) -> dict[str, nn.Module]:
        return {"actor": make_actor(self), **{name: make_critic(self, name) for name in CRITICS}}

    def learning_rates(self) -> Mapping[str, float]:
        return {"actor": self.settings.actor_lr, **dict.fromkeys(CRITICS, self.settings.critic_lr)}

    def target_names(self, networks: Iterable[str]) -> Iterable[str]:
        return CRITICS

    def configure_experience(self) -> Replay:
        return Replay(self, updates_per_step=10)

    def training_step(self, batch: Batch) -> dict[str, Tensor]:
        s, run, math = self.settings, self.learner.networks, self.learner.backend
        action, shape = next_actions(run["actor"], batch), tuple(batch.reward.shape[1:])
        above = torch.from_numpy(self.draws.draw("subset", (len(CRITICS), *shape), draw_subset, np.float32))
        zeros = torch.zeros(batch.reward.shape)
        alone = [next_values(run[f"target_{name}"], batch, action) for name in CRITICS]
        values = [  # a sum: those of the subset as they are
            math.td_target(above[:, k], zeros, value, zeros, gamma=1.0, scale=1.0) for k, value in enumerate(alone)
        ]
        y = math.td_target(
            batch.reward, batch.terminated, math.minimum(*values), batch.next_dt, gamma=s.gamma, scale=s.reward_scale
        )
        metrics: dict[str, Tensor] = {"target": math.mean(y, factor=1.0)}
        for name in CRITICS:
            q, pull = stored_values(run[name], batch)
            loss = math.squared_error(q.squeeze(3), y, skip=s.burn_in)
            self.optimize(name, loss.loss, partial(pull.parameters, loss.gradient.unsqueeze(3)))
            metrics[f"{name}/loss"] = loss.loss
        if self.learns_policy:
            pi, pull_actor = run["actor"].vjp(batch.obs, hidden=batch.hidden, dt=batch.dt, resets=batch.start)
            value, pull_value = policy_values(run[CRITICS[0]], batch, pi, math)
            d_value = mean_gradient(value, factor=-1.0, skip=s.burn_in)
            self.optimize("actor", math.mean(value, factor=-1.0), lambda: pull_actor.parameters(pull_value(d_value)))
        self.learner.follow(s.tau)
        return metrics


def filled(**settings: Any) -> Ensemble:
    given = {"device": "cpu", "warmup_steps": 0, "buffer_size": 90, "policy_delay": 10, "critic_units": (8,)}
    agent = Ensemble(3, 6, 2, seeds=[1, 2, 3], **{**given, **settings})
    generator = np.random.default_rng(0)
    for k in range(3):
        fill(agent, k, generator, 100 + k)
    return agent


@pytest.mark.parametrize("kernel", ["native", "numpy", "torch"])
def test_ten_critics_and_a_random_subset_are_recorded_to_the_bit(kernel: str) -> None:
    agents = [filled(kernel=kernel) for _ in range(2)]
    agents[1].record = False
    targets = []
    for agent in agents:
        agent.configure_training()
        targets.append([learn(agent)["target"] for _ in range(2)])
        assert [p.update for p in agent.progress] == [20, 20, 20]
    assert [agent.experience.updates.is_recorded for agent in agents] == [True, False]
    assert all(torch.equal(one, other) for one, other in zip(*targets, strict=True))
    assert float(torch.stack(targets[0]).abs().max()) < 100.0  # two of ten are near, the others far
    for net in agents[0].networks:
        for name, value in parameters(agents[0], net).items():
            assert torch.equal(value, parameters(agents[1], net)[name]), (net, name)


def test_the_subset_differs_from_update_to_update_and_from_seed_to_seed() -> None:
    agent, chosen = filled(), set()
    for update in range(20):
        for lived in agent.progress:
            lived.update = update
        drawn = agent.draws.draw("subset", (10, 16, 1), draw_subset, np.float32)
        assert ((drawn == 0.0).sum((1, 2, 3)) == SUBSET * 16).all()
        chosen |= {(k, *np.flatnonzero(drawn[k, :, 0, 0] == 0.0)) for k in range(3)}
    assert len(chosen) > 40


def test_ten_critics_start_differently_and_have_targets_optimizers_and_checkpoints(tmp_path: Path) -> None:
    agent = Ensemble(3, 6, 1, device="cpu", seed=1, warmup_steps=10, buffer_size=90, critic_units=(8,))
    firsts = [agent.networks[name].get_parameter("layers.0.weight")[0, 0, 0].item() for name in CRITICS]
    assert len(set(firsts)) == 10
    assert {name for name in agent.networks if name.startswith("target_")} == {f"target_{name}" for name in CRITICS}
    agent.train("Pendulum-v1", 8, n_steps=30, progress_bar=False, summary=False)
    assert agent.progress[0].update == 200
    loaded = Ensemble.load(agent.save(tmp_path / "ep1"))
    for name in CRITICS:
        for own, other in zip(agent.networks[name].parameters(), loaded.networks[name].parameters(), strict=True):
            assert torch.equal(own, other)
    assert len(agent.learner.optimizer_state(0)) == len(loaded.learner.optimizer_state(0)) > 100
