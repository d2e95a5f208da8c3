"""Loading checkpoints of strangers: sizes are known before memory is taken, and impossible numbers are refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

import velora
from tests.reliability.checkpoint_forgery import forge
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC

SIZES: list[dict[str, Any]] = [
    {"n_neurons": 4_096},
    {"state_dim": 1_000_000},
    {"state_dim": 16_000, "cell": "memoryless"},
    {"action_dim": 4_096},
    {"action_dim": 4_096, "state_dim": 1_000_000, "n_neurons": 3, "cell": "memoryless"},
    {"critic_units": [65_536, 65_536]},
    {"critic_units": [65_536] * 8},
    {"n_neurons": 4_096, "cell": "ltc"},
    {"n_neurons": 2_000, "mixed_memory": True},
    {"n_neurons": 4_096, "wiring": "random"},
    {"critic": "recurrent", "critic_units": [65_536], "sequence_length": 4},
    {"critic": "liquid", "n_neurons": 3_000},
    {"state_dim": 750_000, "image": [500, 500, 3]},
]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    agent = LiquidDDPG(3, 6, 1, device="cpu", seed=1, warmup_steps=4, buffer_size=40)
    agent.train("Pendulum-v1", 4, n_steps=30, progress_bar=False, summary=False)
    return agent.save(tmp_path_factory.mktemp("honest") / "ep1", buffer=True)


def refused(path: Path, *, buffer: bool = True) -> str:
    began = time.process_time()
    with pytest.raises(CheckpointError) as error:
        velora.load(path, buffer=buffer, device="cpu")
    assert time.process_time() - began < 1.0
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


def liar_of(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "liar"))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_settings_that_ask_for_more_than_the_file_fills_are_refused(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: dict[str, Any]
) -> None:
    liar = liar_of(honest, tmp_path)
    forge(liar, metadata=lambda document: document["settings"].update(sizes))
    assert "numbers, more than the file with these settings fills" in refused(liar)


@pytest.mark.parametrize(
    ("make", "sizes"),
    [
        (lambda: LiquidREDQ(3, 6, 1, n_critics=2, device="cpu"), {"n_critics": 16, "critic_units": [120, 120]}),
        (lambda: LiquidPPO(3, 6, 1, critic="recurrent", device="cpu"), {"n_envs": 4_096, "critic_units": [64, 4_000]}),
        (lambda: LiquidPPO(3, 6, 1, device="cpu"), {"n_envs": 4_096, "rollout_steps": 100_000_000}),
        (lambda: LiquidSAC(3, 6, 2, device="cpu", discrete=True), {"action_dim": 4_096}),
    ],
)
def test_sizes_of_the_other_agents_are_bounded_too(
    tmp_path: Path, make: Callable[[], Agent], sizes: dict[str, Any]
) -> None:
    liar = make().save(tmp_path / "liar")
    forge(liar, metadata=lambda document: document["settings"].update(sizes))
    told = "Unable to allocate" if "rollout_steps" in sizes else "numbers, more than the file with these settings fills"
    assert told in refused(liar, buffer=False)


MEMORY = """
import sys
from pathlib import Path
import velora
from velora.core.errors import CheckpointError

def kib(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0])

honest, *liars = sorted(Path(sys.argv[1]).iterdir())
velora.load(honest, buffer=True, device="cpu")
for liar in liars:
    Path("/proc/self/clear_refs").write_text("5")
    before = kib("VmRSS")
    try:
        velora.load(liar, buffer=True, device="cpu")
    except CheckpointError:
        print(liar.name, (kib("VmHWM") - before) >> 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_not_taken_before_sizes_are_known(honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "0")
    for number, sizes in enumerate(SIZES, 1):
        liar = Path(shutil.copytree(honest, tmp_path / f"{number:02}"))
        forge(liar, metadata=lambda document, sizes=sizes: document["settings"].update(sizes))  # type: ignore[misc]
    words = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    extra = dict(line.split() for line in done.stdout.splitlines())
    assert len(extra) == len(SIZES)
    assert all(int(mib) < 64 for mib in extra.values()), extra


def test_honest_agents_of_every_size_are_loaded(tmp_path: Path) -> None:
    for number, agent in enumerate(
        (
            LiquidDDPG(3, 3, 1, device="cpu", critic_units=(1,), cell="memoryless"),
            LiquidDDPG(2_000, 3, 500, device="cpu", critic_units=(2,), cell="memoryless"),
            LiquidDDPG(3_000, 8, 1, device="cpu", wiring="random"),
            LiquidDDPG(12, 64, 300, device="cpu", cell="ltc", critic="liquid"),
            LiquidPPO(3, 6, 1, device="cpu", critic="recurrent", critic_units=(8, 512), n_envs=256),
            LiquidREDQ(3, 6, 1, device="cpu", n_critics=16),
            LiquidDDPG(48, 6, 1, device="cpu", image=(4, 4, 3)),
        )
    ):
        path = agent.save(tmp_path / f"ep{number}")
        assert type(velora.load(path, device="cpu")) is type(agent)


def change_tensor(liar: Path, part: str, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    file = f"{part}.safetensors"
    tensors = load((liar / file).read_bytes())
    tensors[name] = change(tensors[name].clone()).contiguous()
    forge(liar, contents={file: save(tensors)})


STEP, MOMENT = "actor.cell.layers.0.heads.bias.step", "critic.layers.0.weight.exp_avg_sq"


def put(at: Any, value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor[at] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("part", "name", "change", "told"),
    [
        ("optim_state", STEP, put((), -3.0), f"optim_state: {STEP}: expected numbers of at least 0, found -3"),
        ("optim_state", STEP, put((), 1.5), f"optim_state: {STEP}: expected a whole number, found 1.5"),
        ("optim_state", MOMENT, put((0, 0, 0), -1e-9), f"optim_state: {MOMENT}: expected numbers of at least 0"),
        ("buffer_state", "rows", put((0, 2, 0), torch.nan), "buffer_state: obs: expected finite numbers"),
        ("buffer_state", "rows", put((0, 2, 4), torch.inf), "buffer_state: reward: expected finite numbers"),
        ("buffer_state", "rows", put((0, 2, 8), 2.0), "buffer_state: terminated: expected numbers from 0 to 1"),
        ("buffer_state", "rows", put((0, 2, 10), -1.0), "buffer_state: dt: expected numbers from 0 to inf"),
    ],
)
def test_impossible_numbers_are_refused(
    honest: Path, tmp_path: Path, part: str, name: str, change: Callable[[torch.Tensor], torch.Tensor], told: str
) -> None:
    liar = liar_of(honest, tmp_path)
    change_tensor(liar, part, name, change)
    assert told in refused(liar)


def test_a_position_that_no_buffer_has_is_refused(honest: Path, tmp_path: Path) -> None:
    liar = liar_of(honest, tmp_path)
    forge(liar, metadata=lambda document: document["buffer"].update(position=7))
    assert "buffer: expected position 30, where 30 rows of 40 end, got 7" in refused(liar)


def test_a_choice_that_is_none_is_refused(tmp_path: Path) -> None:
    agent = LiquidSAC(4, 6, 2, device="cpu", discrete=True, warmup_steps=4, buffer_size=40)
    agent.train("CartPole-v1", 4, n_steps=12, progress_bar=False, summary=False)
    liar = agent.save(tmp_path / "liar", buffer=True)
    change_tensor(liar, "buffer_state", "rows", put((0, 2, 4), 2.0))
    assert "buffer_state: action: expected numbers from 0 to 1, found others" in refused(liar)


def test_half_a_step_of_several_environments_is_refused(tmp_path: Path) -> None:
    agent = LiquidPPO(4, 6, 2, device="cpu", discrete=True, n_envs=2, rollout_steps=64)
    agent.train("CartPole-v1", 8, n_steps=12, progress_bar=False, summary=False)
    liar = agent.save(tmp_path / "liar", buffer=True)
    change_tensor(liar, "buffer_state", "rows", lambda rows: rows[:, :-1])
    forge(liar, metadata=lambda document: document["buffer"].update(size=11, position=11))
    assert "rows: expected 2 of each step, found 11 in all" in refused(liar)


@pytest.mark.parametrize("bounds", [[float("1e39")], ["nan"], [True], [1], "x", None, [[1.0]]], ids=str)
def test_action_bounds_are_numbers(honest: Path, tmp_path: Path, bounds: Any) -> None:
    liar = liar_of(honest, tmp_path)
    forge(liar, metadata=lambda document: document["environment"].update(action_low=bounds, action_high=[1.0]))
    assert "environment: expected 1 action bounds, low below high" in refused(liar, buffer=False)


def test_numbers_of_a_part_are_counted_by_its_header(honest: Path) -> None:
    checkpoint = Checkpoint.open(honest)
    assert checkpoint.count_numbers("model_state") == sum(t.numel() for t in checkpoint.read("model_state").values())
    with pytest.raises(CheckpointError, match="no train state was saved"):
        checkpoint.count_numbers("train_state")
