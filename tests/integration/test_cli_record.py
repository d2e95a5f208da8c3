"""``velora record``, and what a run says of ``best/`` beside ``final/``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Command
from tests.videos import pictures
from velora.envs import film

pytest.importorskip("pygame", reason='needs pygame: pip install "velora-rl[video]"')
pytest.importorskip("PIL", reason='needs Pillow: pip install "velora-rl[video]"')

TRAIN = ("train", "train.seed=1", "device=cpu", "train.progress_bar=false", "train.summary=false", "hydra.run.dir=run")
LIMIT = "+env.kwargs.max_episode_steps=8"


def record(out: str) -> Any:
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_a_video_of_a_run_and_of_a_checkpoint(command: Command, tmp_path: Path) -> None:
    assert command(*TRAIN, LIMIT, "train.n_episodes=2").code == 0
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, out, err = command("record", "run", "out=clips/episode.webp")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "checkpoint  run/checkpoints/final"
    assert out.splitlines()[2] == "video       clips/episode.webp (9 pictures)"
    found = record(out)
    assert (found["pictures"], len(pictures(Path(found["video"])))) == (9, 9)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*before, "clips", "episode.webp"])

    evaluated = record(command("evaluate", "checkpoint=run", "episodes=2", "seed=5").out)
    code, out, _ = command("record", "run/checkpoints/best", "out=a.gif", "episodes=2", "seed=5", "every=4")
    assert record(out)["returns"] == pytest.approx(evaluated["returns"])
    assert record(out)["pictures"] == len(pictures(tmp_path / "a.gif")) == 6
    code, _, err = command("record", "run", "out=/proc/x.gif")
    assert (code, err) == (2, "velora record: out: /proc/x.gif can't be written (No such file or directory)\n")


def test_every_seed_of_a_run_has_a_video(command: Command, tmp_path: Path) -> None:
    assert command(*TRAIN, LIMIT, "train.n_episodes=1", "train.seeds=2").code == 0
    code, out, _ = command("record", "run", "out=x.gif")
    assert code == 0
    assert [Path(one["video"]).name for one in record(out)["videos"]] == ["x-seed1.gif", "x-seed2.gif"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "checkpoint: needs a value"),
        ("nowhere", "nowhere: no checkpoint here"),
        ("nowhere out=x.mp4", "or name it x.webp"),
        ("nowhere every=0", "every: expected at least 1, got 0"),
        ("nowhere evry=2", "evry: no such setting"),
    ],
)
def test_mistakes(words: str, complaint: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "_is_installed", lambda package: package == "PIL")
    code, _, err = command("record", *shlex.split(words))
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1


def test_a_run_says_what_its_best_agent_earned(command: Command) -> None:
    """Of one seed, and of those of several whose last agent isn't the best; the commands that it prints work."""
    fast = ("train.evaluate_every=1", "train.evaluation_episodes=1", "agent.critic_lr=0.5", "agent.warmup_steps=8")
    _, out, _ = command(*TRAIN, LIMIT, *fast, "train.n_episodes=12", "train.batch_size=8")
    lines = out.splitlines()
    (best,) = [line.split() for line in lines if line.startswith("best ")]
    at = next(number for number, line in enumerate(lines) if line.startswith("evaluate"))
    commands = [line.removeprefix("evaluate").strip() for line in lines[at : at + 2]]
    assert [line.rpartition("/")[2] for line in commands] == ["final", "best"]
    earned = [record(command(*shlex.split(line)[1:], "episodes=1").out)["mean"] for line in commands]
    assert f"{earned[1]:.1f}" == best[1]
    assert earned[1] > earned[0]


def test_where_the_last_agent_is_the_best_nothing_more_is_said(command: Command) -> None:
    _, out, _ = command(*TRAIN, LIMIT, "train.n_episodes=1")
    assert "best" not in out
