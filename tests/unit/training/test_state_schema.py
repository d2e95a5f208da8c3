"""A run's saved state: every member is checked for type, range, shape and fit before any of it is taken over."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from tests.reliability.checkpoint_forgery import forge
from velora.callbacks import Callback, EarlyStopping, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError, SettingError
from velora.models import Agent, LiquidDDPG, LiquidPPO
from velora.training.resume import codec
from velora.training.resume.fits import check_fits
from velora.training.resume.form import difference
from velora.training.resume.read_state import read_state
from velora.training.resume.state_schema import RunState

Change = Callable[[dict[str, Any]], object]


def make() -> LiquidDDPG:
    return LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=50)


def train(home: Path, *callbacks: Callback, n_steps: int = 38, resume: Path | None = None, **more: Any) -> None:
    saving = SaveCheckpoints(home, frequency=None)
    env = gym.make("Pendulum-v1", max_episode_steps=7)
    make().train(
        env, 4, n_episodes=1_000, n_steps=n_steps, callbacks=[saving, *callbacks], resume=resume, progress_bar=False,
        summary=False, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A run that was stopped within its sixth episode."""
    home = tmp_path_factory.mktemp("run") / "checkpoints"
    train(home, EarlyStopping(patience=1_000))
    return Checkpoint.open(home / "final")


@pytest.fixture
def tree(saved: Checkpoint) -> dict[str, Any]:
    unpacked: dict[str, Any] = codec.unpack(saved.metadata.train_state, saved.read("train_state"))
    return copy.deepcopy(unpacked)


@pytest.fixture(scope="module")
def agent(saved: Checkpoint) -> Agent:
    return LiquidDDPG.load(saved.path, device="cpu")


def test_an_honest_state_is_taken_as_it_is(saved: Checkpoint, tree: dict[str, Any], agent: Agent) -> None:
    state = read_state(saved, agent, 0)
    assert state.lane.keys() == tree["lane"].keys()
    assert state.lane["lived"] == [5, 38, 34]
    assert state.lane["running"][0] == 6
    assert np.array_equal(state.lane["actions"], tree["lane"]["actions"])
    assert torch.equal(state.global_generators["numpy"]["key"], tree["global_generators"]["numpy"]["key"])


def put(path: str, value: Any) -> Change:
    """Change one member, by its path."""
    *parents, last = path.split("/")

    def change(tree: Any) -> None:
        for parent in parents:
            tree = tree[int(parent) if isinstance(tree, list) else parent]
        at: Any = int(last) if isinstance(tree, list) else last
        tree[at] = value

    return change


def without(path: str) -> Change:
    *parents, last = path.split("/")

    def change(tree: Any) -> None:
        for parent in parents:
            tree = tree[parent]
        del tree[last]

    return change


WORDS = torch.zeros(624, dtype=torch.int64)
IMPOSSIBLE: dict[str, tuple[Change, str]] = {
    "unknown member": (put("more", 1), "more: Extra inputs"),
    "no lane": (without("lane"), "lane: Field required"),
    "run id": (put("run_id", "a\x1b[2J"), "run_id"),
    "counter below 0": (put("evaluated_at", -1), "evaluated_at"),
    "counter of half a step": (put("lane/lived/1", 0.5), "lane.lived.1"),
    "counter that is true": (put("lane/lived/1", True), "lane.lived.1"),
    "two counters": (put("lane/origin", [0, 0]), "lane.origin"),
    "huge counter": (put("lane/lived/0", 2**60), "lane.lived.0"),
    "window of no size": (put("lane/moving/size", 0), "lane.moving.size"),
    "window of text": (put("lane/moving/values", ["a"]), "lane.moving.values.0"),
    "window without values": (without("lane/moving/values"), "lane.moving.values"),
    "reset seed below 0": (put("lane/running/1", -5), "lane.running"),
    "reset seed of text": (put("lane/running/1", "5"), "lane.running"),
    "half a running episode": (put("lane/running", [6, 5]), "lane.running"),
    "actions of text": (put("lane/actions", "abc"), "lane.actions: expected a tensor"),
    "actions that are NaN": (put("lane/actions", torch.full((3, 1), torch.nan)), "lane.actions: expected finite"),
    "actions of three axes": (put("lane/actions", torch.zeros(3, 1, 1)), "lane.actions: expected float32 or float64"),
    "time of a step": (put("lane/dt", 0.0), "lane.dt"),
    "reason with a control character": (put("lane/stop_reason", "a\x1b]0;x"), "lane.stop_reason"),
    "hidden of another type": (put("hidden", torch.zeros(1, 1, 7, dtype=torch.float64)), "hidden: expected float32"),
    "hidden that is infinite": (put("hidden", torch.full((1, 1, 7), torch.inf)), "hidden: expected finite"),
    "generator": (put("generators", {"a": "zz:0:0:0"}), "generators.a"),
    "generator of 200 bits": (put("generators", {"a": f"{2**200:x}:0:0:0"}), "generators.a"),
    "NumPy position behind its memory": (put("global_generators/numpy/pos", 10**6), "global_generators.numpy.pos"),
    "NumPy position before its memory": (put("global_generators/numpy/pos", -7), "global_generators.numpy.pos"),
    "NumPy key": (put("global_generators/numpy/key", WORDS[:5]), "global_generators.numpy.key"),
    "NumPy key of negative numbers": (put("global_generators/numpy/key", WORDS - 1), "global_generators.numpy.key"),
    "Python words": (put("global_generators/python/words", torch.full((625,), 700)), "global_generators.python.words"),
    "Python version": (put("global_generators/python/version", 2), "global_generators.python.version"),
    "PyTorch state": (put("global_generators/torch", torch.zeros(5056, dtype=torch.uint8)), "global_generators.torch"),
    "callbacks": (put("callbacks", []), "callbacks"),
    "extra": (put("extra", 5), "extra"),
    "digests": (put("lane/digests", torch.tensor([2**32])), "lane.digests: expected numbers within their range"),
    "metrics": (put("metrics", {"actor/loss": torch.zeros(2)}), "metrics.actor/loss: expected a tensor of one number"),
    "lineage": (put("lineage", [[0, -1]]), "lineage.0.1"),
    "circumstances": (put("circumstances", {"kernel": "\x1b"}), "circumstances.kernel"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_member_is_named(tree: dict[str, Any], name: str) -> None:
    change, told = IMPOSSIBLE[name]
    change(tree)
    before = random.getstate(), np.random.get_state(legacy=False)["state"]["pos"], torch.get_rng_state().clone()  # noqa: NPY002
    with pytest.raises(CheckpointError) as error:
        RunState.read(tree)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert (random.getstate(), np.random.get_state(legacy=False)["state"]["pos"]) == before[:2]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


CONTRADICTING: dict[str, tuple[Change, str]] = {
    "lived": (put("lane/lived", [5, 39, 34]), "lane.lived: expected the checkpoint's progress [5, 38, 34]"),
    "origin": (put("lane/origin", [6, 0, 0]), "lane.origin: expected at most"),
    "evaluated": (put("evaluated_at", 6), "evaluated_at: expected at most 5"),
    "window": (put("lane/moving/values", [0.0] * 9), "lane.moving: expected the returns of at most 5"),
    "episode": (put("lane/running/0", 8), "lane.running: expected an episode up to number 6"),
    "actions": (put("lane/actions", torch.full((3, 1), 2.5)), "lane.actions: expected actions of the environment"),
    "two actions": (put("lane/actions", torch.zeros(3, 2)), "lane.actions: expected actions of the environment"),
    "whole actions": (put("lane/actions", torch.zeros(3, dtype=torch.int64)), "lane.actions: expected actions"),
    "digests": (put("lane/digests", torch.tensor([1])), "lane.digests: expected one more than there are actions"),
    "hidden": (put("hidden", torch.zeros(1, 1, 8)), "hidden: expected shape (1, 1, 7)"),
    "environments": (
        put("lane/others", [{"running": None, "actions": None}]),
        "lane: expected 1 environments, found 2",
    ),
    "generators": (put("generators", {"a": "1:1:0:0"}), "generators: expected [], found ['a']"),
    "noise": (put("agent/exploration/noise", [0.0, 0.0]), "agent: experience.exploration.noise: expected 1 values"),
    "noise that is NaN": (put("agent/exploration/noise/0", float("nan")), "noise.0: expected a finite number"),
    "agent": (put("agent", {}), "agent: experience: expected the members exploration, found none"),
}


@pytest.mark.parametrize("name", CONTRADICTING)
def test_what_contradicts_the_agent_is_named(saved: Checkpoint, tree: dict[str, Any], agent: Agent, name: str) -> None:
    change, told = CONTRADICTING[name]
    change(tree)
    state = RunState.read(tree)
    with pytest.raises(CheckpointError) as error:
        check_fits(state, agent, saved.metadata, 0)
    assert told in str(error.value)


def test_a_run_that_has_counted_too_far_to_count_on_is_refused(
    saved: Checkpoint, tree: dict[str, Any], agent: Agent
) -> None:
    far = saved.metadata.model_copy(update={"progress": saved.metadata.progress.model_copy(update={"begun": 2**53})})
    with pytest.raises(CheckpointError, match="lane: expected numbers of episodes, steps and updates of at most"):
        check_fits(RunState.read(tree), agent, far, 0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"__tensor__": 5}, "the tensor 5 is missing"),
        ({"__tensor__": "x"}, "the tensor 'x' is missing"),
        ({"__float__": []}, r"__float__: expected nan, inf or -inf, found \[\]"),
        ({"__float__": "1e5"}, "__float__: expected nan, inf or -inf, found '1e5'"),
        ({"__tuple__": 1}, "__tuple__: expected a list, found 1"),
    ],
)
def test_a_mark_of_ours_holds_what_we_put_there(changed: Any, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        codec.unpack({"a": [changed]}, {})


def test_a_tensor_that_nothing_refers_to_is_refused(saved: Checkpoint, agent: Agent, tmp_path: Path) -> None:
    from safetensors.torch import save

    liar = copy_of(saved, tmp_path)
    name = "train_state.safetensors"
    forge(liar, contents={name: save({**saved.read("train_state"), "more": torch.zeros(2)})})
    with pytest.raises(CheckpointError, match=r"liar: train_state: nothing refers to the tensor 'more'; resume from"):
        read_state(Checkpoint.open(liar), agent, 0)


def copy_of(saved: Checkpoint, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(saved.path, tmp_path / "liar"))


class Picky(Callback):
    """Keep a number, and refuse all others."""

    def state_dict(self) -> dict[str, Any]:
        return {"kept": 7}

    def load_state_dict(self, state: Any) -> None:
        if {7: True}[state["kept"]]:
            return

    def on_save_checkpoint(self, trainer: Any, agent: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = 1

    def on_load_checkpoint(self, trainer: Any, agent: Any, checkpoint: dict[str, Any]) -> None:
        assert checkpoint["mine"] == 1, "not mine"


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("callbacks/Picky/kept", 8, r"train_state: callbacks\.Picky: its load_state_dict refuses it \(KeyError: 8\)"),
        ("callbacks/Picky", 8, r"callbacks\.Picky: its load_state_dict refuses it \(TypeError: "),
        ("extra/mine", 2, r"train_state: extra: a callback's on_load_checkpoint refuses it \(AssertionError: not mine"),
        ("seed_callbacks/EarlyStopping[window]/waited", -3, r"EarlyStopping\[window\].* a count 'waited'"),
        ("seed_callbacks/EarlyStopping[window]", {"best": "x", "waited": 0}, r"expected a finite 'best'"),
        ("lane/lived/1", 37, r"lane\.lived: expected the checkpoint's progress"),
        ("global_generators/numpy/pos", 625, r"global_generators\.numpy\.pos"),
    ],
)
def test_a_resume_that_is_refused_changes_nothing_on_the_disk(tmp_path: Path, path: str, value: Any, told: str) -> None:
    home = tmp_path / "checkpoints"
    train(home, EarlyStopping(patience=1_000), Picky(), window_size=2, run_dir=tmp_path)
    train(home, EarlyStopping(patience=1_000), Picky(), window_size=2, run_dir=tmp_path, n_steps=60, resume=home)
    forge(home / "final", metadata=lambda document: put(path, value)(document["train_state"]))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"}
    with pytest.raises(CheckpointError, match=told) as error:
        train(home, EarlyStopping(patience=1_000), Picky(), window_size=2, run_dir=tmp_path, n_steps=80, resume=home)
    assert str(home / "final") in str(error.value)
    assert "\n" not in str(error.value)
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.name != ".lock"}
    assert after == before


def test_several_environments_have_a_state_each(tmp_path: Path) -> None:
    agent = LiquidPPO(4, 6, 2, discrete=True, n_envs=3, rollout_steps=8, n_epochs=1, device="cpu", seed=1)
    agent.train("CartPole-v1", 8, n_steps=30, callbacks=[SaveCheckpoints(tmp_path)], progress_bar=False, summary=False)
    forge(tmp_path / "final", metadata=lambda d: put("train_state/lane/others/1/running/2", "x")(d))
    checkpoint = Checkpoint.open(tmp_path / "final")
    with pytest.raises(CheckpointError, match=r"lane\.others\.1\.running: expected number, reset seed and return"):
        read_state(checkpoint, LiquidPPO.load(checkpoint.path, device="cpu"), 0)


def test_a_form_is_compared_member_by_member() -> None:
    form = {"a": [1.0, (2, "x")], "b": np.zeros((2, 3), np.float32), "c": None, "d": True}
    assert difference(form, {"a": [5, [7, "y"]], "b": torch.ones(2, 3), "c": "anything", "d": False}, "s") is None
    for path, value, told in (
        ("a/0", "x", "s.a.0: expected a finite number, found 'x'"),
        ("a/1", [2], "s.a.1: expected 2 values, found 1"),
        ("b", torch.ones(3, 2), "s.b: expected torch.float32 of (2, 3), found torch.float32 of (3, 2)"),
        ("b", torch.full((2, 3), torch.nan), "s.b: expected finite numbers, found NaN or infinity"),
        ("d", 1, "s.d: expected a bool, found 1"),
    ):
        other = {"a": [5.0, [7, "y"]], "b": torch.ones(2, 3), "c": 1, "d": False}
        put(path, value)(other)
        assert difference(form, other, "s") == told


def test_callbacks_of_ours_check_their_own_state() -> None:
    for state in ({"best": 1.0}, {"best": float("inf"), "waited": 0}, {"best": 1.0, "waited": 1.5}):
        with pytest.raises(SettingError, match="expected a finite 'best' and a count 'waited'"):
            EarlyStopping(patience=1).load_seed_state_dict(1, state)
    for best in (None, "x", float("nan"), [1.0]):
        with pytest.raises(SettingError, match="expected a finite number 'best'"):
            SaveCheckpoints("somewhere").load_seed_state_dict(1, {"best": best})
