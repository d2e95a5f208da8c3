"""``velora show``: what a run and a checkpoint are, from their directories alone."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.integration.conftest import Command
from tests.shared import QUIET
from velora.models import LiquidDDPG

SHORT = (
    "train.n_episodes=2", "agent.warmup_steps=190", "agent.n_neurons=5", "train.batch_size=8", "device=cpu",
    "train.evaluation_episodes=2", "train.progress_bar=false", "train.summary=false", "hydra.run.dir=run",
)  # fmt: skip


def facts(out: str) -> dict[str, str]:
    """Read name and text of every fact; what goes on is joined."""
    found: dict[str, str] = {}
    name = ""
    for line in out.splitlines():
        name = line[:14].strip() or name
        found[name] = f"{found.get(name, '')} {line[14:].strip()}".strip()
    return found


def test_a_run_is_described_and_its_commands_work(command: Command) -> None:
    assert command("train", "env/mask=velocity", "train.seed=3", "train.evaluate_every=1", *SHORT).code == 0
    done = command("show", "run")
    assert (done.code, done.err) == (0, "")
    said = facts(done.out)
    assert said["status"].startswith("finished")
    assert said["agent"] == "LiquidDDPG(2, 5, 1, warmup_steps=190, seed=3)"
    assert said["environment"] == "Pendulum-v1, in DropObservation"
    assert said["trained"] == "2 episodes, 400 steps, 210 updates"
    assert said["reached"] == "2 episodes, 400 steps, of at most 2 episodes"
    assert said["evaluations"].endswith("at step 200")
    assert "at step 400; " in said["evaluations"]
    assert said["checkpoints"] == "best, final"
    assert said["evaluate"] == "velora evaluate checkpoint=run"
    assert said["go on"] == "velora train resume=run train.n_episodes=4"
    evaluated = command(*shlex.split(said["evaluate"])[1:], "episodes=1")
    assert json.loads(evaluated.out.splitlines()[-1])["returns"]
    assert command(*shlex.split(said["verify"])[1:]).code == 0


@pytest.mark.slow
def test_the_settings_are_the_words_that_make_the_run(command: Command, tmp_path: Path) -> None:
    words = ("env/mask=velocity", "agent=liquid_td3", "train.seed=3", "callbacks=early_stopping",
             "callbacks.early_stopping.target=-1", "agent.critic_units=[8,8]", "agent.grad_clip=null",
             "+env.kwargs.g=9.5")  # fmt: skip
    assert command("train", *words, *SHORT).code == 0
    settings = (tmp_path / "run" / "config.yaml").read_text()
    said = shlex.split(facts(command("show", "run").out)["settings"])
    assert {"agent=liquid_td3", "env=pendulum", "env.mask.drop=velocity", "agent.critic_units=[8,8]"} <= set(said)
    assert {"+env.kwargs.g=9.5", "agent.grad_clip=null", "train.batch_size=8", "train.seed=3"} <= set(said)
    again = [f"+{word}" if word.startswith("callbacks.") else word for word in said]
    assert command("train", *(word.replace("++", "+") for word in again), "hydra.run.dir=again").code == 0
    assert (tmp_path / "again" / "config.yaml").read_text() == settings


def test_a_checkpoint_is_described(command: Command, tmp_path: Path) -> None:
    assert command("train", "train.seed=3", *SHORT).code == 0
    said = facts(command("show", "run/checkpoints/best").out)
    assert said["checkpoint"].startswith("run/checkpoints/best, saved by velora ")
    assert said["agent"] == "LiquidDDPG(3, 5, 1, warmup_steps=190, seed=3)"
    assert said["buffer"] == "400 of at most 100,000 transitions"
    assert said["of a run"] == "yes: it can be resumed"
    assert said["evaluate"] == "velora evaluate checkpoint=run/checkpoints/best"
    assert said["go on"] == "velora train resume=run/checkpoints/best"
    assert said["python"] == 'agent = velora.load("run/checkpoints/best")'


def test_seeds_side_by_side(command: Command) -> None:
    assert command("train", "train.seeds=2", *SHORT).code == 0
    said = facts(command("show", "run").out)
    assert said["seeds"] == "2: 0, 1; shown is seed0"
    assert said["return"].endswith("evaluated, mean of 2 seeds")
    assert said["checkpoints"] == "best, final of each of 2 seeds"


def test_a_run_of_python_and_one_that_was_saved_by_hand(command: Command, tmp_path: Path) -> None:
    agent = LiquidDDPG(3, 5, 1, warmup_steps=1000, seed=0, device="cpu")
    agent.train("Pendulum-v1", 8, n_episodes=1, run_dir=tmp_path / "run", **QUIET)
    said = facts(command("show", "run").out)
    assert (said["agent"], said["checkpoints"]) == ("liquid_ddpg, on Pendulum-v1", "none")
    assert "evaluate" not in said
    agent.save(tmp_path / "ep1")
    said = facts(command("show", "ep1").out)
    assert said["of a run"] == "no"
    assert "go on" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such directory; expected a run or a checkpoint"),
        (["."], ".: no run and no checkpoint; velora runs . lists runs below"),
        (["a", "b"], "expected one run or checkpoint, got a b"),
        (["agnet=x", "run"], "expected one run or checkpoint"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, command: Command) -> None:
    done = command("show", *words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err


def test_damage_is_one_line(command: Command, tmp_path: Path) -> None:
    path = LiquidDDPG(3, 5, 1, device="cpu").save(tmp_path / "ep1")
    weights = path / "model_state.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = command("show", "ep1")
    assert done.code == 2
    assert "model_state.safetensors" in done.err
