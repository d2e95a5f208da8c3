"""Copies of an agent, by deepcopy, pickle and in another process: independent, and the same in all they do."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from tests.shared import QUIET
from velora.callbacks import Callback
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3

OBS = np.array([0.3, -0.7, 1.1])


def repickled(agent: Agent) -> Agent:
    copied: Agent = pickle.loads(pickle.dumps(agent))
    return copied


COPIES: dict[str, Callable[[Agent], Agent]] = {"deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": repickled}
AGENTS: dict[str, Callable[[], Agent]] = {
    "ddpg": lambda: LiquidDDPG(3, 6, 1, device="cpu", seed=3, warmup_steps=20, buffer_size=50),
    "td3": lambda: LiquidTD3(3, 6, 1, device="cpu", seed=3, warmup_steps=20, optimizer="rmsprop"),
    "sac": lambda: LiquidSAC(
        3, 6, 1, device="cpu", seed=3, warmup_steps=20, normalize_obs=True, normalize_returns=True
    ),
    "redq": lambda: LiquidREDQ(3, 6, 1, device="cpu", seed=3, warmup_steps=20, updates_per_step=2, n_critics=3),
    "ppo": lambda: LiquidPPO(3, 6, 1, device="cpu", seed=3, rollout_steps=32, critic="recurrent", n_envs=2),
    "ltc": lambda: LiquidDDPG(3, 6, 1, device="cpu", seed=3, warmup_steps=20, cell="ltc", mixed_memory=False),
    "numpy": lambda: LiquidDDPG(3, 6, 1, device="cpu", seed=3, warmup_steps=20, kernel="numpy"),
    "seeds": lambda: LiquidDDPG(3, 6, 1, device="cpu", seeds=[3, 8], warmup_steps=20),
}


def train(agent: Agent, n_steps: int = 75) -> list[list[float]]:
    return agent.train("Pendulum-v1", 8, n_steps=n_steps, **QUIET).returns


def weights(agent: Agent) -> dict[str, torch.Tensor]:
    return {f"{net}.{n}": t.clone() for net, m in agent.networks.items() for n, t in m.state_dict().items()}


def assert_same(a: Agent, b: Agent) -> None:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (a.seeds, a.progress, a.environment, a.bounds) == (b.seeds, b.progress, b.environment, b.bounds)


@pytest.mark.parametrize("kind", COPIES)
def test_a_buffer_of_images_that_is_still_empty_is_copied(kind: str) -> None:
    agent = LiquidDDPG(48, 6, 1, image=(4, 4, 3), device="cpu", seed=3, buffer_size=50)
    agent.buffer.append(())
    assert_same(COPIES[kind](agent), agent)


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("made", AGENTS)
@pytest.mark.some(8)
def test_a_copy_predicts_and_trains_to_the_same_bits_and_shares_nothing(made: str, kind: str) -> None:
    agent = AGENTS[made]()
    fresh = COPIES[kind](agent)
    assert type(fresh) is type(agent)
    assert_same(fresh, agent)
    train(agent)
    assert not any(p.step for p in fresh.progress)
    trained = COPIES[kind](agent)
    assert_same(trained, agent)
    before = weights(trained)
    train(agent, 60)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(trained).items())
    train(trained, 60)
    assert_same(trained, agent)
    train(fresh)
    train(fresh, 60)
    assert_same(fresh, agent)
    if agent.n_seeds == 1:
        for explore in (False, True):
            answers = [one.predict(OBS, explore=explore)[0] for one in (agent, trained)]
            assert np.array_equal(*answers)


def test_a_copy_keeps_the_buffer_and_what_people_have_set() -> None:
    agent = AGENTS["ddpg"]()
    train(agent)
    agent.optimizers["actor"].param_groups[0]["lr"] = 0.125
    agent.networks["critic"].requires_grad_(False)
    agent.record = False
    agent.predict(OBS, explore=True)
    for kind in COPIES.values():
        copied: Any = kind(agent)
        assert copied.optimizers["actor"].param_groups[0]["lr"] == 0.125
        assert not any(p.requires_grad for p in copied.networks["critic"].parameters())
        assert copied.record is False
        assert len(copied.buffer) == len(agent.buffer) == 50
        assert np.array_equal(copied.buffer.state_dict(0)["rows"], agent.buffer.state_dict(0)["rows"])
        drawn = [copy.deepcopy(one).predict(OBS, explore=True)[0] for one in (copied, agent)]
        assert np.array_equal(*drawn)


def test_what_was_set_on_an_agent_comes_along_with_its_references() -> None:
    agent: Any = AGENTS["ddpg"]()
    agent.last_scores, agent.name, agent.itself = deque([1.0], maxlen=3), "best", agent
    agent.head = next(agent.networks["actor"].parameters())
    twin = copy.deepcopy(agent)
    assert twin.last_scores == deque([1.0], maxlen=3)
    assert twin.last_scores is not agent.last_scores
    assert twin.itself is twin
    assert twin.head is next(twin.networks["actor"].parameters())
    sent: Any = repickled(agent)
    assert (sent.name, sent.last_scores.maxlen) == ("best", 3)
    assert sent.itself is sent


def test_a_pair_of_one_agent_stays_a_pair_of_one() -> None:
    agent = AGENTS["ddpg"]()
    first, second = copy.deepcopy([agent, agent])
    assert first is second is not agent


def test_a_callback_may_copy_the_agent_while_it_is_trained() -> None:
    class Keep(Callback):
        def __init__(self) -> None:
            self.kept: list[tuple[Any, float]] = []

        def on_episode_end(self, trainer: Any, agent: Any, episode: Any) -> None:
            self.kept.append((copy.deepcopy(agent), float(agent.predict(OBS)[0][0])))

    keep, agent = Keep(), AGENTS["sac"]()
    agent.train("Pendulum-v1", 8, n_episodes=2, callbacks=[keep], **QUIET)
    for copied, answer in keep.kept:
        assert copied.predict(OBS)[0][0] == answer
    train(keep.kept[0][0], 20)


def test_a_copy_is_saved_and_loaded_like_any_agent(tmp_path: Path) -> None:
    agent = AGENTS["sac"]()
    train(agent)
    for name, kind in COPIES.items():
        kind(agent).save(tmp_path / name, buffer=True)
        assert_same(LiquidSAC.load(tmp_path / name, device="cpu", buffer=True), agent)


def _answer(agent: Agent, queue: Any) -> None:
    action, _ = agent.predict(OBS)
    train(agent, 30)
    queue.put(
        (action.tolist(), agent.progress[0].step, parameters_to_vector(agent.networks["actor"].parameters()).tolist())
    )


@pytest.mark.slow
def test_a_spawned_process_gets_the_same_agent() -> None:
    agent = AGENTS["ddpg"]()
    train(agent)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_answer, args=(agent, queue))
    process.start()
    action, step, learned = queue.get(timeout=120)
    process.join(60)
    assert action == agent.predict(OBS)[0].tolist()
    train(agent, 30)
    assert step == agent.progress[0].step
    assert learned == parameters_to_vector(agent.networks["actor"].parameters()).tolist()
