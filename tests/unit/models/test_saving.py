"""Save, then load: the same predictions, the same next update, and one line for everything that is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.shared import QUIET
from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint, agents
from velora.checkpoint.schema import PARTS
from velora.core.errors import CheckpointError, SettingError
from velora.models import Agent, LiquidDDPG
from velora.models.optimizers import OPTIMIZERS, OptimizerKind
from velora.models.settings import DDPGSettings
from velora.nn.cells import CELL_KINDS

OPTIMIZERS.register("momentum")(  # as a user registers one
    OptimizerKind(lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9), ("momentum_buffer",), counts_steps=False)
)


def trained(**settings: Any) -> LiquidDDPG:
    agent = LiquidDDPG(4, 6, 1, **{"device": "cpu", "seed": 1, "warmup_steps": 20, "buffer_size": 60, **settings})
    agent.train("InvertedPendulum-v5", 4, n_episodes=20, n_steps=75, **QUIET)
    return agent


@pytest.fixture(scope="module")
def agent() -> LiquidDDPG:
    return trained()


def assert_same(a: LiquidDDPG, b: LiquidDDPG) -> None:
    for net in a.networks:
        for (name, x), y in zip(
            a.networks[net].state_dict().items(), b.networks[net].state_dict().values(), strict=True
        ):
            assert torch.equal(x, y), f"{net}.{name}"


@pytest.mark.parametrize(
    "settings",
    [
        *({"cell": cell} for cell in CELL_KINDS),
        {"wiring": "random"}, {"cell": "leaky", "wiring": "dense"},
        {"mixed_memory": True},
        {"cell_mode": "pure"}, {"optimizer": "momentum"},
        {"optimizer": "adamw"}, {"optimizer": "rmsprop"}, {"optimizer": "sgd"}, {"sequence_length": 3, "burn_in": 1},
        {"critic_units": [32], "grad_clip": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_loaded_agent_predicts_and_learns_the_same(tmp_path: Path, settings: dict[str, Any]) -> None:
    original = trained(**settings)
    original.save(tmp_path / "run" / "ep8", buffer=True)
    loaded = LiquidDDPG.load(tmp_path / "run" / "ep8", buffer=True, device="cpu")
    assert_same(original, loaded)
    assert loaded.settings == original.settings
    assert (loaded.seeds, loaded.progress, loaded.bounds) == (original.seeds, original.progress, original.bounds)
    state, hidden_a, hidden_b = np.linspace(-1, 1, 4), None, None
    for _ in range(5):
        a, hidden_a = original.predict(state, hidden_a)
        b, hidden_b = loaded.predict(state, hidden_b)
        assert np.array_equal(a, b)
    window = original.settings.sequence_length + original.settings.burn_in
    batches = [
        x.experience.buffer.sample(np.random.default_rng(0).random((1, 16)), window, torch.device("cpu"))
        for x in (original, loaded)
    ]
    for x, batch in zip((original, loaded), batches, strict=True):
        x.training_step(batch)
    assert_same(original, loaded)


def test_the_files_are_those_of_the_document(agent: LiquidDDPG, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "ep10"
    plain = {"metadata.json", "model_state.safetensors", "optim_state.safetensors"}
    assert agent.save(path) == path
    assert {p.name for p in path.iterdir()} == plain
    agent.save(path, buffer=True)
    assert {p.name for p in path.iterdir()} == {*plain, "buffer_state.safetensors"}
    agent.save(path, config=True)
    assert {p.name for p in path.parent.iterdir()} == {"ep10", "model_config.json"}
    # The same weights were saved again, so the buffer that is there still belongs to them.
    assert len(LiquidDDPG.load(path, buffer=True).buffer) == 60
    overview = json.loads((path.parent / "model_config.json").read_text())
    assert overview["agent"] == "LiquidDDPG"
    assert overview["settings"]["n_neurons"] == 6
    assert overview["environment"]["id"] == "InvertedPendulum-v5"


def test_an_agent_that_never_learned_is_saved_too(tmp_path: Path) -> None:
    fresh = LiquidDDPG(3, 5, 2, device="cpu", seed=2)
    fresh.save(tmp_path / "ep0", buffer=True)
    loaded = LiquidDDPG.load(tmp_path / "ep0", buffer=True)
    assert_same(fresh, loaded)
    assert loaded.environment is None
    assert len(loaded.buffer) == 0


def test_one_seed_of_many_is_saved_as_an_ordinary_agent(tmp_path: Path) -> None:
    many = trained(seed=None, seeds=[7, 8, 9])
    with pytest.raises(SettingError, match=r"agent\.seed\(k\)\.save"):
        many.save(tmp_path / "x")
    with pytest.raises(SettingError, match=r"agent\.seed\(k\)"):
        many.predict([0.0] * 4)
    many.seed(1).save(tmp_path / "x")
    loaded = LiquidDDPG.load(tmp_path / "x")
    assert loaded.seeds == (8,)
    assert_same(many.seed(1), loaded)
    with pytest.raises(SettingError, match="position from 0 to 2, got 3"):
        many.seed(3)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd", "momentum"])
def test_a_seed_of_many_keeps_its_optimizers_state(tmp_path: Path, optimizer: str) -> None:
    """Saved by the run, and gone on with, to the same bits as in a run that was never stopped."""

    def lived(steps: list[int], directory: Path) -> LiquidDDPG:
        for k, n_steps in enumerate(steps):
            agent = LiquidDDPG(4, 6, 1, device="cpu", seeds=(1, 2), warmup_steps=20, optimizer=optimizer)
            own: dict[str, Any] = {"callbacks": [SaveCheckpoints(directory)], "resume": directory if k else None}
            agent.train("InvertedPendulum-v5", 4, n_steps=n_steps, **own, **QUIET)
        return agent

    assert_same(lived([40, 60], tmp_path / "stopped"), lived([60], tmp_path / "whole"))


def test_training_goes_on_after_loading_without_a_new_warm_up(agent: LiquidDDPG, tmp_path: Path) -> None:
    agent.save(tmp_path / "a")
    loaded = LiquidDDPG.load(tmp_path / "a")
    assert loaded.experience.warming_up((0,)) == ()
    loaded.train("InvertedPendulum-v5", 4, n_episodes=2, **QUIET)
    assert loaded.progress[0].episode == agent.progress[0].episode + 2


def test_each_wrong_load_is_one_line(agent: LiquidDDPG, tmp_path: Path) -> None:
    path = agent.save(tmp_path / "run" / "ep1")
    cases: list[tuple[Any, type[Exception], str]] = []
    cases.append((lambda: LiquidDDPG.load(path, buffer=True), CheckpointError, "load it with buffer=False"))
    cases.append((lambda: LiquidDDPG.load(tmp_path / "nowhere"), FileNotFoundError, "nowhere"))
    cases.append((lambda: agent.save(path, overwrite=False), CheckpointError, "ep1"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    cases.append((lambda: agent.save(tmp_path / "mine"), CheckpointError, "thesis.txt"))
    for act, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            act()
        assert "\n" not in str(caught.value)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    other = LiquidDDPG(4, 7, 1, device="cpu", seed=0)
    agent.save(path, config=True)
    with pytest.raises(CheckpointError, match=r"model_config\.json"):
        other.save(tmp_path / "run" / "ep2", config=True)
    assert not (tmp_path / "run" / "ep2").exists()


@pytest.mark.parametrize("missing", ["model_state.safetensors", "optim_state.safetensors", "metadata.json"])
def test_a_missing_file_is_named(agent: LiquidDDPG, tmp_path: Path, missing: str) -> None:
    path = agent.save(tmp_path / "ep1")
    (path / missing).unlink()
    with pytest.raises((CheckpointError, FileNotFoundError), match=missing):
        LiquidDDPG.load(path)


def test_another_agents_checkpoint_is_refused_by_name(agent: LiquidDDPG, tmp_path: Path) -> None:
    @agents.register("other_ddpg")
    class OtherDDPG(LiquidDDPG):
        key = "other_ddpg"

    path = agent.save(tmp_path / "ep1")
    with pytest.raises(CheckpointError, match="LiquidDDPG"):
        OtherDDPG.load(path)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("actor_lr", 1e9), ("n_neurons", 30_000), ("buffer_size", 10**12), ("evil", 1), ("cell", "os.system"),
        ("n_neurons", 7), ("critic_units", [64, 65]), ("gamma", None),
    ],
)  # fmt: skip
def test_settings_that_lie_are_refused(agent: LiquidDDPG, tmp_path: Path, member: str, value: Any) -> None:
    """A checkpoint written anew, with right digests, whose settings are wrong."""
    path = agent.save(tmp_path / "ep1")
    good = Checkpoint.open(path)
    document = good.metadata.document()
    document.pop("files")
    settings = document["settings"]
    assert isinstance(settings, dict)
    settings[member] = value
    parts = {part: good.read(part) for part in PARTS[:2]}
    Checkpoint.write(tmp_path / "lie", metadata=document, tensors=parts)
    with pytest.raises(CheckpointError) as caught:
        LiquidDDPG.load(tmp_path / "lie")
    assert "\n" not in str(caught.value)


AUDIT = """
import sys
import velora
from velora.nn.cells import CELL_KINDS
from velora.models import Agent, LiquidDDPG

LiquidDDPG(4, 6, 1, device="cpu", seed=0).predict([0.0] * 4)  # torch's own lazy imports come first
load = {"velora.load": velora.load, "LiquidDDPG.load": LiquidDDPG.load}[sys.argv[2]]
seen = []
WATCHED = ("import", "exec", "compile", "pickle.find_class", "os.system", "subprocess.Popen", "marshal.loads")
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in WATCHED else None)
agent = load(sys.argv[1], buffer=True, device="cpu")
found = list(seen)
assert len(agent.buffer) == 60
agent.predict([0.0] * 4)
loaded = [name for name in ("lightning", "hydra", "torch._dynamo") if name in sys.modules]
assert not loaded, loaded
assert not found, found
print("clean")
"""


@pytest.mark.parametrize("load", ["velora.load", "LiquidDDPG.load"])
@pytest.mark.some(1)
def test_loading_runs_nothing_and_needs_neither_lightning_nor_hydra(
    load: str, agent: LiquidDDPG, tmp_path: Path
) -> None:
    path = agent.save(tmp_path / "ep1", buffer=True)
    done = subprocess.run([sys.executable, "-c", AUDIT, str(path), load], capture_output=True, text=True, check=False)
    assert done.stdout == "clean\n", done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_checkpoint_loads_on_the_cpu_and_the_other_way_round(tmp_path: Path) -> None:
    on_gpu = trained(device="cuda")
    loaded = LiquidDDPG.load(on_gpu.save(tmp_path / "gpu", buffer=True), device="cpu", buffer=True)
    assert loaded.device.type == "cpu"
    state = np.ones(4)
    np.testing.assert_allclose(loaded.predict(state)[0], on_gpu.predict(state)[0], rtol=1e-4, atol=1e-5)
    back = LiquidDDPG.load(loaded.save(tmp_path / "cpu"), device="cuda")
    assert back.device.type == "cuda"
    back.train("InvertedPendulum-v5", 4, n_episodes=2, **QUIET)


def test_an_agent_without_a_key_is_refused_when_it_is_made() -> None:
    class Nameless(Agent):
        settings_type = DDPGSettings
        configure_networks, learning_rates = LiquidDDPG.configure_networks, LiquidDDPG.learning_rates
        configure_experience, training_step = LiquidDDPG.configure_experience, LiquidDDPG.training_step

    with pytest.raises(SettingError, match=r"^Nameless: expected a key and a settings_type.*@velora\.register[^\n]*$"):
        Nameless(3, 6, 1, device="cpu", seed=0)


def test_what_fails_before_the_first_row_is_not_hidden(tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=0)
    nothing: dict[str, Any] = {}
    agent.settings_dict = lambda: nothing["settings"]  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="settings"):
        agent.train("Pendulum-v1", 4, n_steps=10, run_dir=tmp_path, **QUIET)
