"""Several seeds from the command line: one process, one directory, one curve."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from velora.analysis import compare, outcome
from velora.checkpoint import Checkpoint
from velora.core import ram
from velora.metrics import queries

TINY = (
    "train.n_episodes=2",
    "train.batch_size=4",
    "train.evaluation_episodes=2",
    "train.progress_bar=false",
    "train.summary=false",
    "agent.n_neurons=3",
    "agent.warmup_steps=350",
    "checkpoint.frequency=1",
    "device=cpu",
)

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keep the run that the first test makes."""
    return {"directory": tmp_path_factory.mktemp("made")}


@pytest.fixture
def run(command: Command, tmp_path: Path, made: dict[str, Path]) -> tuple[Path, str]:
    """Return a run of the seeds 3 and 5, and what it printed."""
    kept = made["directory"]
    if not (kept / "run").exists():
        code, out, err = command("train", *TINY, "train.seeds=[3,5]", "hydra.run.dir=run")
        assert code == 0, err
        shutil.copytree(tmp_path / "run", kept / "run")
        (kept / "out").write_text(out)
        shutil.rmtree(tmp_path / "run")
    shutil.copytree(kept / "run", tmp_path / "run")
    return tmp_path / "run", (kept / "out").read_text()


def words_of(line_name: str, out: str) -> list[str]:
    line = next(line for line in out.splitlines() if line.startswith(f"{line_name} "))
    _, *words = shlex.split(line.removeprefix(line_name))
    return words


def test_each_seed_has_its_checkpoints_and_all_of_them_one_store(run: tuple[Path, str]) -> None:
    run_dir, _ = run
    for seed in (3, 5):
        names = {path.name for path in (run_dir / "checkpoints" / f"seed{seed}").iterdir()}
        assert names >= {"ep1", "ep2", "final", "model_config.json"}
        metadata = Checkpoint.open(run_dir / "checkpoints" / f"seed{seed}" / "final").metadata
        assert (metadata.seed, metadata.progress.episode) == (seed, 2)
    settings = OmegaConf.load(run_dir / "config.yaml")
    assert (settings.train.seed, list(settings.train.seeds)) == (3, [3, 5])
    assert [(row.seed, row.episode) for row in queries.episodes(run_dir)] == [(3, 1), (3, 2), (5, 1), (5, 2)]
    (cell,) = compare(run_dir).cells.values()
    assert cell.n_seeds == 2


def test_the_end_of_a_run_sums_its_seeds_up_and_says_what_comes_next(run: tuple[Path, str], command: Command) -> None:
    run_dir, out = run
    means = {row.seed: row.mean for row in queries.evaluations(run_dir)}
    lines = out.splitlines()
    assert lines[2] == "trained   2 seeds, each 2 episodes, 400 steps"
    assert lines[3].startswith(
        f"return    {np.mean(list(means.values())):.1f} ± {np.std(list(means.values())):.1f} over"
    )
    assert lines[3].endswith("over 2 seeds, each over 2 evaluation episodes")
    assert [line.split()[:4] for line in lines[6:8]] == [[str(s), "2", "400", f"{means[s]:.1f}"] for s in (3, 5)]
    best = max(means, key=means.__getitem__)
    assert words_of("evaluate", out) == ["evaluate", f"checkpoint=run/checkpoints/seed{best}/final"]
    one = json.loads(command(*words_of("evaluate", out), "episodes=2").out.splitlines()[-1])
    assert one["mean"] == pytest.approx(means[best])
    assert command(*words_of("plot", out)).out == "curves.png\n"
    code, again, err = command(*words_of("go", out.replace("go on  ", "go  ")))
    assert code == 0, err
    assert "resume: train.n_episodes: 2 -> 4" in again
    assert "train.seeds" not in again
    assert [row.episode for row in queries.episodes(run_dir, seed=5)] == [1, 2, 3, 4]


def test_a_run_is_evaluated_seed_by_seed(run: tuple[Path, str], command: Command) -> None:
    run_dir, _ = run
    code, out, err = command("evaluate", "checkpoint=run", "episodes=2")
    assert code == 0, err
    record = json.loads(out.splitlines()[-1])
    means = {row.seed: row.mean for row in queries.evaluations(run_dir)}
    assert {seed["seed"]: seed["mean"] for seed in record["seeds"]} == pytest.approx(means)
    assert record["mean"] == pytest.approx(np.mean(list(means.values())))
    assert record["std"] == pytest.approx(np.std(list(means.values())))
    assert out.splitlines()[0].split()[:3] == ["seed", "3", f"{means[3]:.1f}"]
    shutil.rmtree(run_dir / "checkpoints" / "seed3")
    (run_dir / "checkpoints" / "seed3").mkdir()
    code, out, err = command("evaluate", "checkpoint=run", "episodes=1")
    assert (code, "skipped: " in err, "seed3" in err) == (0, True, True)
    shutil.rmtree(run_dir / "checkpoints" / "seed5" / "final")
    for path in (run_dir / "checkpoints" / "seed5").glob("*/metadata.json"):
        path.unlink()
    code, _, err = command("evaluate", "checkpoint=run")
    assert code == 2
    assert "found none of any of its seeds" in err


def test_a_seed_of_several_is_the_seed_alone(command: Command, tmp_path: Path) -> None:
    """The random part of it, at least: the first episodes, before anything is learned."""
    assert command("train", *TINY, "train.seeds=2", "train.seed=4", "hydra.run.dir=two").code == 0
    assert command("train", *TINY, "train.seed=5", "hydra.run.dir=one").code == 0
    first, alone = queries.episodes(tmp_path / "two", seed=5)[0], queries.episodes(tmp_path / "one")[0]
    assert first.reward == pytest.approx(alone.reward, rel=1e-6)


def test_one_seed_of_a_list_is_an_ordinary_run(command: Command, tmp_path: Path) -> None:
    code, out, err = command("train", *TINY, "train.seeds=[7]", "hydra.run.dir=run")
    assert code == 0, err
    assert (tmp_path / "run" / "checkpoints" / "final").is_dir()
    assert "seeds" not in out
    code, out, err = command("train", "resume=run", "train.n_episodes=3")
    assert code == 0, err


@pytest.mark.slow
def test_a_sweep_over_settings_gets_the_mean_over_seeds(command: Command, tmp_path: Path) -> None:
    few = [word for word in TINY if "n_neurons" not in word]
    code, out, err = command(
        "train", "-m", "sweep=basic", "train.seeds=2", "agent.n_neurons=3,4", "checkpoint=none", *few
    )
    assert code == 0, err
    for n_neurons in (3, 4):
        (job,) = tmp_path.glob(f"multirun/*/*/n-neurons-{n_neurons}_*")
        means = [evaluation.mean for evaluation in queries.evaluations(job)]
        assert len(means) == 2
        (row,) = (line.split() for line in out.splitlines() if line.split()[:1] == [str(n_neurons)])
        assert row[1:3] == ["2", f"{np.mean(means):,.1f}"]
        result = outcome.read(job).result
        assert result is not None
        assert result.objective == pytest.approx(np.mean(means))
    assert "go on" not in out


def test_seeds_that_stop_early_are_told_apart(command: Command) -> None:
    stop = ["callbacks=early_stopping", "callbacks.early_stopping.target=-5000", "train.window_size=1"]
    code, out, err = command("train", *TINY, "train.seeds=2", *stop)
    assert code == 0, err
    assert "ended     stopped: 2 of 2 seeds were stopped by a callback" in out
    assert out.count("   stopped: window mean") == 2
    assert "go on" not in out  # there is nothing to go on with
    code, out, err = command("train", f"resume={words_of('plot', out)[1]}", "train.n_episodes=5")
    assert code == 0, err
    assert "there was nothing left to train" in out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM for one process")
def test_seeds_that_were_interrupted_go_on_by_the_command_that_is_printed(command: Command, tmp_path: Path) -> None:
    script = "import sys; from velora.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-c", script, "train", *TINY, "train.seeds=[4,6]", "train.n_episodes=900"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("outputs/*/*/checkpoints/seed6/ep1")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGTERM, err
    line = next(line for line in out.splitlines() if line.startswith("interrupted; go on with: velora "))
    _, _, again = line.partition("velora ")
    (run_dir,) = tmp_path.glob("outputs/*/*")
    steps = {Checkpoint.open(path / "interrupted").metadata.progress.step for path in run_dir.glob("checkpoints/seed*")}
    assert len(steps) == 1
    episodes = steps.pop() // 200 + 1
    assert command(*shlex.split(again), f"train.n_episodes={episodes}").code == 0
    numbers = [(row.seed, row.episode) for row in queries.episodes(run_dir)]
    assert numbers == [(seed, number) for seed in (4, 6) for number in range(1, episodes + 1)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train.seeds=[3,5,3]", "train.seeds: expected none twice, got 3 more than once"),
        ("train.seeds=0", "train.seeds: expected how many seeds to train side by side, at least 1, or a list"),
        ("train.seeds=many", "such as [3,5,8], got 'many'"),
        ("train.seeds=true", "got True"),
        ("train.seeds=[]", "got an empty list"),
        ("train.seeds=[1,x]", "train.seeds: expected a whole number from 0 to 4294967295, got 'x'"),
        ("train.seeds=9999999", "train.seeds: expected at most 1,048,576 seeds, got 9,999,999"),
        ("train.seeds=[3,5] train.seed=5", "train.seed: 5 contradicts train.seeds=[3,5]; leave one of them out"),
        ("train.seeds=2 train.seed=4294967295", "seed: expected a whole number from 0 to 4294967295, got 4294967296"),
        (
            "train.seeds=1,2",
            "train.seeds: got several values; add -m to run one job with each (a list is written [1,2])",
        ),
        ("train.seed=range(0,3)", "or train them side by side with train.seeds=[0,1,2]"),
        ("train.seedz=3", "train.seedz: no such setting; did you mean train.seed"),
    ],
)
@pytest.mark.some(4)
def test_seeds_that_make_no_sense_are_one_line(command: Command, tmp_path: Path, words: str, expected: str) -> None:
    code, out, err = command("train", *TINY, *words.split())
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_more_seeds_than_memory_holds_are_refused_before_anything_is_made(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ram, "available_bytes", lambda: 40 * 2**20)
    code, out, err = command("train", *TINY, "train.seeds=10")
    assert (code, out) == (2, "")
    # 2 * 3 observations, 1 action, 4 numbers of state and 6 more are 17 numbers, of 4 bytes
    assert err == (
        "velora train: train.seeds: 10 seeds need 64.8 MiB of memory for replay (100,000 transitions of 17 numbers "
        "each), 40.0 MiB are available; train at most 6 at a time or lower agent.buffer_size to 61,000\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_seeds(run: tuple[Path, str], command: Command) -> None:
    run_dir, _ = run
    before = (run_dir / "config.yaml").read_text()
    for words in (["train.seeds=3"], ["train.seed=5"], ["train.seeds=[5,3]"], ["train.seeds=null", "train.seed=3"]):
        code, _, err = command("train", "resume=run", "train.n_episodes=3", *words)
        assert code == 2
        assert "can't change when a run is resumed; it trains the seeds 3, 5" in err
        assert err.count("\n") == 1
    shutil.rmtree(run_dir / "checkpoints" / "seed5")
    code, _, err = command("train", "resume=run", "train.n_episodes=3")
    assert code == 2
    assert "checkpoints/seed5 is missing; this agent trains the seeds 3, 5" in err
    assert err.count("\n") == 1
    assert (run_dir / "config.yaml").read_text() == before
    (run_dir / "checkpoints" / "seed5").mkdir()
    code, _, err = command("train", "resume=run", "train.n_episodes=3", "train.seeds=[3,5]")
    assert code == 0, err
    assert "seed 5 has no checkpoint yet; it begins anew" in err
    assert [(row.seed, row.episode) for row in queries.episodes(run_dir)] == [(s, e) for s in (3, 5) for e in (1, 2, 3)]


def test_a_run_of_one_seed_keeps_it(command: Command) -> None:
    assert command("train", *TINY, "train.seed=1", "hydra.run.dir=run").code == 0
    code, _, err = command("train", "resume=run", "train.seed=2")
    assert code == 2
    assert "train.seed: can't change when a run is resumed; it trains the seed 1; start a new run" in err
