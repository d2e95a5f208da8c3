"""Removing a neuron is the same as an agent whose weights out of it are zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from velora.audit.batch import Batch
from velora.audit.playing import Treatment, play
from velora.core.errors import ShapeError
from velora.envs.make import EnvironmentSource
from velora.export.describe import describe
from velora.export.replay import Replay
from velora.models import LiquidPPO, LiquidSAC, LiquidTD3
from velora.nn.cells.registry import VARIANTS
from velora.training.evaluation import reset_seeds


def agent_of(name: str) -> LiquidSAC:
    options: dict[str, Any] = dict(VARIANTS[name])
    mode, mixed = options.get("mode", "default"), options.get("mixed_memory", False)
    settings: dict[str, Any] = {"cell": name.split()[0], "cell_mode": mode, "mixed_memory": mixed}
    return LiquidSAC(3, 12, 1, seed=1, device="cpu", **settings)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_computes_what_the_replay_does(name: str) -> None:
    policy, chance = describe(agent_of(name)), np.random.default_rng(0)
    batch, replay = Batch(policy), Replay(policy)
    states = np.zeros((2, policy.n_state))
    singly = [np.zeros(policy.n_state)] * 2
    for _ in range(4):
        obs, dt = chance.normal(size=(2, 3)), chance.uniform(0.3, 3.0, 2)
        actions, states = batch.step(obs, states, dt)
        for k in range(2):
            action, singly[k] = replay.step(obs[k], singly[k], np.float64(dt[k]))
            np.testing.assert_allclose(actions[k], action, atol=1e-7)
            np.testing.assert_allclose(states[k], singly[k], atol=1e-7)


def without(agent: LiquidSAC, layer: int, neuron: int) -> LiquidSAC:
    """Zero all weights that read a neuron of a CfC: of its own layer, of the next one, and of the output."""
    named = dict(agent.actor.named_parameters())
    heads = [one for name, one in named.items() if name.startswith("cell.") and name.endswith("heads.weight")]
    with torch.no_grad():
        n_own = heads[layer].shape[-2] // 4
        heads[layer][..., heads[layer].shape[-1] - n_own + neuron] = 0.0
        if layer + 1 < len(heads):
            heads[layer + 1][..., neuron] = 0.0
        at = sum(one.shape[-2] // 4 for one in heads[:layer]) + neuron
        named["head.weight"][..., at] = 0.0
    return agent


@pytest.mark.parametrize(("layer", "neuron"), [(0, 2), (1, 1), (2, 0)])
def test_a_removed_neuron_is_one_whose_weights_are_zero(layer: int, neuron: int) -> None:
    whole = describe(agent_of("cfc"))
    zeroed = without(agent_of("cfc"), layer, neuron)
    batch, chance = Batch(whole), np.random.default_rng(2)
    removed = np.zeros((1, batch.n_neurons), bool)
    removed[0, sum(one.n for one in whole.layers[:layer]) + neuron] = True
    batch.remove(removed)
    states, hidden = np.zeros((1, whole.n_state)), None
    told = set()
    for _ in range(6):
        obs = chance.normal(size=3).astype(np.float32)
        action, states = batch.step(obs[None], states, [1.0])
        expected, hidden = zeroed.predict(obs, hidden)
        np.testing.assert_allclose(action[0], expected, atol=1e-6)
        told.add(float(action[0, 0]))
    intact, _ = Batch(whole).step(obs[None], np.asarray(hidden)[None], [1.0])
    assert abs(intact - action).max() > 1e-5
    assert len(told) == 6


def test_a_removal_of_another_number_of_neurons_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"remove: expected \(B, 13\), got \(1, 3\)"):
        Batch(describe(agent_of("cfc"))).remove(np.zeros((1, 3), bool))


def played(agent: LiquidTD3 | LiquidPPO, env_id: str, treatments: list[Treatment], max_steps: int = 25) -> np.ndarray:
    env, _ = EnvironmentSource(env_id).first()
    agent.adapt(env)
    policy = describe(agent)
    spread = np.ones(policy.n_observations)
    return play(policy, env, treatments, reset_seeds(5, 2), spread=spread, max_steps=max_steps)


def test_treatments_are_paired_and_nothing_is_nothing() -> None:
    agent = LiquidTD3(3, 10, 1, seed=0, device="cpu")
    same = [Treatment(), Treatment(dropout=0.0), Treatment(noise=0.5), Treatment(noise=0.5), Treatment(dropout=1.0)]
    returns = played(agent, "Pendulum-v1", same)
    np.testing.assert_array_equal(returns[0], returns[1])
    np.testing.assert_array_equal(returns[2], returns[3])
    assert (returns[0] != returns[2]).all()
    assert (returns[0] != returns[4]).all()
    assert returns.shape == (5, 2)


def test_an_episode_is_as_predict_plays_it() -> None:
    agent = LiquidPPO(4, 10, 2, discrete=True, seed=3, device="cpu")
    returns = played(agent, "CartPole-v1", [Treatment()], max_steps=500)
    env, _ = EnvironmentSource("CartPole-v1").first()
    for seed, earned in zip(reset_seeds(5, 2), returns[0], strict=True):
        obs, _ = env.reset(seed=seed)
        hidden, total, over = None, 0.0, False
        while not over:
            action, hidden = agent.predict(np.asarray(obs, np.float32), hidden)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        assert total == earned


def test_rarer_decisions_hold_the_action_and_tell_the_time() -> None:
    agent = LiquidTD3(3, 10, 1, seed=0, device="cpu")
    every = [Treatment(every=3), Treatment(every=3, tells_time=False)]
    told, untold = played(agent, "Pendulum-v1", every)
    env, _ = EnvironmentSource("Pendulum-v1").first()
    obs, _ = env.reset(seed=reset_seeds(5, 1)[0])
    hidden, total = None, 0.0
    for step in range(25):
        if step % 3 == 0:
            action, hidden = agent.predict(obs, hidden, dt=3.0 if step else 1.0)
        obs, reward, *_ = env.step(action)
        total += float(reward)
    assert told[0] == pytest.approx(total, rel=1e-4)
    assert abs(told[0] - untold[0]) > 1e-6
