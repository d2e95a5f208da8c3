"""``velora push`` and ``velora pull``: a run goes to a Hub and comes back as something that commands take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hub import Hub, hub
from tests.integration.conftest import Command
from velora.checkpoint import Checkpoint

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install 'velora-rl[hub]'")
__all__ = ["hub"]
RUN = (
    "train.n_episodes=2", "agent.warmup_steps=190", "agent.n_neurons=5", "train.batch_size=8", "device=cpu",
    "train.evaluation_episodes=2", "train.progress_bar=false", "train.summary=false", "hydra.run.dir=run",
)  # fmt: skip


def test_a_run_goes_there_and_back(hub: Hub, command: Command) -> None:
    assert command("train", "train.seed=3", *RUN).code == 0
    done = command("push", "run", "ada/swing", "episodes=2", "private=true", "license=mit")
    assert (done.code, done.err) == (0, "")
    record = json.loads(done.out.splitlines()[-1])
    assert record["commit"] == hub.repos["ada/swing"].names["main"]
    assert record["address"] == f"{hub.address}/ada/swing"
    assert len(record["returns"]) == 2
    card = hub.files["README.md"].decode()
    assert "![Learning curve" in card
    assert "2 episodes, 400 steps" in card
    assert {"curve.png", "wiring.svg", "checkpoints/model_config.json"} <= hub.files.keys()
    assert not any("buffer" in name or "train_state" in name for name in hub.files)

    done = command("pull", "ada/swing", "out=got")
    assert (done.code, done.err) == (0, "")
    assert record["commit"] in done.out
    assert Checkpoint.open("got/checkpoints/final").digest == record["digest"]
    again = command("evaluate", "got", "episodes=2", "seed=0")
    assert again.code == 0
    assert json.loads(again.out.splitlines()[-1])["returns"] == record["returns"]
    assert command("show", "got").code == 0
    assert command("verify", "got").code == 0


@pytest.mark.slow
def test_one_of_several_seeds_is_shared_with_what_all_reached(hub: Hub, command: Command) -> None:
    assert command("train", "train.seeds=[3,4,5]", *RUN).code == 0
    done = command("push", "run", "ada/swing", "out=card", "episodes=0")
    assert done.code == 2
    assert "run holds the seeds 3 to 5; choose one: agent_seed=3" in done.err
    done = command("push", "run", "ada/swing", "out=card", "episodes=0", "agent_seed=6")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "agent_seed: run has no seed 6; expected one of 3 to 5" in done.err
    assert not Path("card").exists()
    assert command("push", "run", "ada/swing", "out=card", "episodes=0", "agent_seed=4").code == 0
    assert Checkpoint.open("card/checkpoints/final").metadata.seed == 4
    card = Path("card/README.md").read_text()
    assert Path("card/curve.png").stat().st_size > 10_000
    assert "seeds 3, 4, 5, of which this is 4." in card
    assert "interquartile mean -" in card
    assert all(f"\n| {seed} | -" in card for seed in (3, 4, 5))


def test_a_card_can_be_looked_at_first(hub: Hub, command: Command) -> None:
    done = command("push", "zoo:cartpole", "ada/pole", "out=card", "episodes=0")
    assert (done.code, done.err) == (0, "")
    assert "nothing was pushed" in done.out
    assert Path("card/README.md").read_text().startswith("---\n")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["push", "zoo:cartpole"], "repo: needs a value"),
        (["push", "zoo:cartpole", "pole"], "expected a repository as user/name, got 'pole'"),
        (["push", "zoo:cartpol", "ada/pole"], "did you mean cartpole?"),
        (["push", "zoo:cartpole", "ada/pole", "episodes=-1"], "episodes: expected at least 0, got -1"),
        (
            ["push", "zoo:cartpole", "ada/pole", "episodes=9999", "proof=nowhere"],
            "nowhere: expected what velora ",
        ),
        (["push", "zoo:cartpole", "ada/pole", "episodes=9999", "out=.."], "is there already; remove it, or choose"),
        (["pull"], ""),
        (["pull", "ada/pole"], "has no such repository"),
        (["pull", "ada/pole", "revison=v1"], "did you mean revision?"),
        (["pull", "ada/pole", "ada/other"], "expected one user/name, got ada/pole ada/other"),
    ],
)
@pytest.mark.some(4)
def test_a_mistake_is_one_line_and_leaves_nothing(hub: Hub, command: Command, words: list[str], line: str) -> None:
    done = command(*words)
    if line:
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert line in done.err
    else:
        assert "velora pull user/name" in done.out
    assert list(Path().iterdir()) == []
    assert not hub.repos
