"""Settings that decide what weights mean: an agent with others refuses a checkpoint, and a run isn't gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.shared import QUIET
from velora.callbacks import SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError
from velora.models import Agent, LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3
from velora.models.settings import LiquidSettings

SIZES = {"state_dim": 3, "n_neurons": 6, "action_dim": 1}
OTHERS: list[tuple[type[Agent], dict[str, Any]]] = [
    (LiquidDDPG, {"n_neurons": 7}),
    (LiquidDDPG, {"cell": "gru"}),
    (LiquidDDPG, {"cell_mode": "no_gate"}),
    (LiquidDDPG, {"mixed_memory": True}),
    (LiquidDDPG, {"wiring": "random"}),
    (LiquidDDPG, {"sparsity": 0.4}),
    (LiquidDDPG, {"time": "none"}),
    (LiquidDDPG, {"time": "both"}),
    (LiquidDDPG, {"critic": "liquid"}),
    (LiquidDDPG, {"critic_units": (64, 32)}),
    (LiquidDDPG, {"normalize_obs": True}),
    (LiquidDDPG, {"normalize_returns": True}),
    (LiquidPPO, {"discrete": True, "action_dim": 2}),
    (LiquidSAC, {"discrete": True, "action_dim": 2}),
    (LiquidREDQ, {"n_critics": 5}),
]


def make(kind: type[Agent], **settings: Any) -> Agent:
    return kind(**{**SIZES, "device": "cpu", "seed": 1, **settings})


@pytest.mark.parametrize(("kind", "other"), OTHERS, ids=lambda value: str(getattr(value, "__name__", value)))
def test_a_checkpoint_of_another_structure_is_refused(tmp_path: Path, kind: type[Agent], other: dict[str, Any]) -> None:
    saved = Checkpoint.open(make(kind).save(tmp_path / "ep1"))
    agent = make(kind, **other)
    name = next(iter(other)) if "discrete" not in other else "action_dim"
    before = {**SIZES, **saved.metadata.settings}[name]
    with pytest.raises(CheckpointError, match=rf"of an agent with {name}=.*make it with {name}=") as error:
        agent.restore(saved, buffer=False)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(f"make it with {name}={before}")


def test_images_of_another_shape_or_range_are_refused(tmp_path: Path) -> None:
    own: dict[str, Any] = {"state_dim": 40 * 40 * 3, "image": (40, 40, 3), "kernel": "torch", "buffer_size": 10}
    saved = Checkpoint.open(make(LiquidDDPG, **own).save(tmp_path / "ep1"))
    for other in ({"image_range": (0.0, 1.0)}, {"image": (3, 40, 40)}):
        with pytest.raises(CheckpointError, match=f"make it with {next(iter(other))}="):
            make(LiquidDDPG, **{**own, **other}).restore(saved, buffer=False)


def test_every_setting_says_whether_it_is_one() -> None:
    """Those that only learning depends on may change when a run goes on."""
    structural = {
        one.name
        for kind in (LiquidDDPG, LiquidPPO, LiquidREDQ, LiquidSAC, LiquidTD3)
        for one in kind.settings_type.options()
        if one.structural
    }
    assert structural == {
        *("state_dim", "n_neurons", "action_dim", "cell", "cell_mode", "mixed_memory", "wiring", "sparsity", "time"),
        *(
            "critic",
            "critic_units",
            "privileged",
            "normalize_obs",
            "normalize_returns",
            "image",
            "image_range",
            "discrete",
            "n_critics",
        ),
    }
    assert not any(one.structural for one in LiquidSettings.options() if one.group in ("learning", "experience"))


def test_a_checkpoint_that_does_not_know_a_setting_has_its_default(tmp_path: Path) -> None:
    path = make(LiquidDDPG).save(tmp_path / "ep1")
    good = Checkpoint.open(path)
    document: dict[str, Any] = good.metadata.document()
    del document["files"], document["settings"]["wiring"]
    old = Checkpoint.write(
        tmp_path / "old", metadata=document, tensors={"model_state": good.read("model_state"), "optim_state": {}}
    )
    make(LiquidDDPG).restore(old, buffer=False)
    with pytest.raises(CheckpointError, match="make it with wiring=ncp"):
        make(LiquidDDPG, wiring="dense").restore(old, buffer=False)


def train(agent: Agent, home: Path, n_steps: int, **more: Any) -> None:
    agent.train("Pendulum-v1", 8, n_steps=n_steps, callbacks=[SaveCheckpoints(home)], **QUIET, **more)


def test_a_run_does_not_go_on_with_another_cell_and_learns_on_with_another_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small: dict[str, Any] = {"warmup_steps": 10, "buffer_size": 50}
    train(make(LiquidDDPG, **small), tmp_path, 30)
    with pytest.raises(
        CheckpointError, match="of an agent with cell=cfc, got one with cell=gru; make it with cell=cfc"
    ):
        train(make(LiquidDDPG, cell="gru", **small), tmp_path, 40, resume=tmp_path)
    train(make(LiquidDDPG, actor_lr=0.01, **small), tmp_path, 40, resume=tmp_path)
    assert "resume: actor_lr was 0.0003, goes on as 0.01" in caplog.messages


def test_a_run_does_not_go_on_with_another_seed_that_somebody_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small: dict[str, Any] = {"warmup_steps": 10, "buffer_size": 50}
    train(make(LiquidDDPG, **small), tmp_path, 30)
    with pytest.raises(
        CheckpointError, match=r"is of seed 1, this agent was made with seed 2; make it with seed=1"
    ) as e:
        train(make(LiquidDDPG, seed=2, **small), tmp_path, 40, resume=tmp_path)
    assert "\n" not in str(e.value)
    monkeypatch.setattr("velora.core.seeding._process_seed", 3)
    with pytest.raises(CheckpointError, match="was made with seed 3"):
        train(make(LiquidDDPG, seed=None, **small), tmp_path, 40, resume=tmp_path)
    monkeypatch.setattr("velora.core.seeding._process_seed", None)
    unseeded = make(LiquidDDPG, seed=None, **small)
    train(unseeded, tmp_path, 40, resume=tmp_path)
    assert unseeded.seeds == (1,)
