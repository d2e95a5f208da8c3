"""``velora.load``: the class comes from the checkpoint's key, everything else from ``Agent.load``."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch

import velora
from velora.checkpoint import agents
from velora.core.errors import CheckpointError, SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidSAC, LiquidTD3
from velora.models.loading import load


@pytest.mark.parametrize("kind", [LiquidDDPG, LiquidTD3, LiquidSAC, LiquidPPO])
def test_the_class_is_the_one_that_was_saved(kind: type[Agent], tmp_path: Path) -> None:
    saved = kind(3, 6, 1, device="cpu", seed=5)
    loaded = velora.load(saved.save(tmp_path / "ep1"))
    assert type(loaded) is kind
    assert loaded.seeds == (5,)
    state = np.array([0.1, -0.2, 0.3], dtype=np.float32)
    for one, other in zip(saved.predict(state), loaded.predict(state), strict=True):
        np.testing.assert_array_equal(one, other)


def test_device_kernel_and_buffer_reach_the_agent(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=0, buffer_size=4)
    nothing = dict.fromkeys(agent.buffer.incoming, 0.5)
    agent.buffer.add(0, **nothing)
    path = agent.save(tmp_path / "ep1", buffer=True)
    loaded = velora.load(path, buffer=True, device="cpu", kernel="numpy")
    assert isinstance(loaded, LiquidDDPG)
    assert len(loaded.buffer) == 1
    assert loaded.device == torch.device("cpu")
    assert loaded.kernel == "numpy"
    assert len(velora.load(path).buffer) == 0
    with pytest.raises(CheckpointError, match="saved without a replay buffer"):
        velora.load(agent.save(tmp_path / "ep2"), buffer=True)


def test_it_takes_what_agent_load_takes() -> None:
    assert inspect.signature(load).parameters == inspect.signature(Agent.load).parameters


def test_a_class_of_ones_own_is_found_once_it_is_registered(tmp_path: Path) -> None:
    @agents.register("my_ddpg")
    class MyDDPG(LiquidDDPG):
        key = "my_ddpg"

    try:
        path = MyDDPG(3, 6, 1, device="cpu", seed=0).save(tmp_path / "ep1")
        assert type(velora.load(path)) is MyDDPG
    finally:
        agents._entries.pop("my_ddpg")
    with pytest.raises(CheckpointError) as caught:
        velora.load(path)
    assert str(caught.value) == (
        f"{path}: holds an agent 'my_ddpg', expected one of {', '.join(sorted(agents))}; import the module of your own "
        "class first, which has the decorator @velora.register and key = 'my_ddpg'"
    )


def test_a_class_is_registered_by_its_key(tmp_path: Path) -> None:
    @velora.register
    class Mine(LiquidDDPG):
        key = "mine"

    try:
        assert type(velora.load(Mine(3, 6, 1, device="cpu").save(tmp_path / "ep1"))) is Mine
        assert velora.register(Mine) is Mine
    finally:
        agents._entries.pop("mine")


def test_what_cannot_be_registered_is_told_in_one_line() -> None:
    class Nameless(LiquidDDPG):
        pass

    class Taken(LiquidDDPG):
        key = "liquid_td3"

    for wrong, told in (
        (Nameless, 'expected a key of its own in Nameless, such as key = "my_agent"'),
        (Taken, "key 'liquid_td3' already belongs to"),
        (dict, "expected a subclass of velora.models.Agent or velora.nn.cells.Cell, got <class 'dict'>"),
        ("mine", "expected a subclass of velora.models.Agent or velora.nn.cells.Cell, got 'mine'"),
    ):
        with pytest.raises(SettingError, match=told):
            velora.register(wrong)  # type: ignore[type-var]


def test_nothing_there_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="ep9: no checkpoint here"):
        velora.load(tmp_path / "ep9")


def test_the_package_offers_its_version_and_load() -> None:
    assert velora.__all__ == ["__version__", "from_pretrained", "load", "register", "verify", "zoo"]
    assert set(velora.__all__) <= set(dir(velora))
    with pytest.raises(AttributeError, match="module 'velora' has no attribute 'laod'"):
        _ = velora.laod
