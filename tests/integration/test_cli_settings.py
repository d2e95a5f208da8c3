"""Training from settings, in this process: what is written, what is refused, and users' own files and code."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hydra import compose
from omegaconf import OmegaConf

from velora.checkpoint import agents
from velora.cli.command.compose import composing
from velora.cli.run.training import run_training
from velora.models.idle import taken_over

TINY = (
    "train.n_episodes=1",
    "train.batch_size=4",
    "train.evaluation_episodes=1",
    "train.progress_bar=false",
    "train.summary=false",
    "agent.n_neurons=3",
    "agent.warmup_steps=150",
    "device=cpu",
)

MY_CODE = """
import gymnasium
from gymnasium.envs.classic_control import PendulumEnv
from velora.callbacks import Callback


class Tell(Callback):
    def __init__(self, word="episode"):
        self.word = word

    def on_episode_end(self, trainer, agent, episode):
        print(self.word, episode.number)


class Trip(Callback):
    def on_episode_end(self, trainer, agent, episode):
        raise ZeroDivisionError("tripped")


class Breaking(PendulumEnv):
    def step(self, action):
        raise KeyError("broken")


gymnasium.register("MyPendulum-v0", entry_point=PendulumEnv, max_episode_steps=200)
gymnasium.register("MyBreaking-v0", entry_point=Breaking, max_episode_steps=200)
"""


Command = Callable[..., Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a finished run, made without Hydra's own entry point."""
    run_dir = tmp_path_factory.mktemp("finished") / "run"
    with composing():
        cfg = compose("train", [*TINY, "train.seed=0"])
    assert run_training(cfg, run_dir) < 0.0
    return run_dir


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copied"))


@pytest.fixture
def my_code(tmp_path: Path) -> Iterator[Path]:
    """Put a module of a user's beside where the command runs."""
    path = tmp_path / "my_code.py"
    path.write_text(MY_CODE)
    yield path
    sys.modules.pop("my_code", None)
    for name in ("MyPendulum-v0", "MyBreaking-v0"):
        gymnasium.registry.pop(name, None)


def snapshot(directory: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")}


def test_run_training_writes_the_run(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names >= {"config.yaml", "metrics.db", "checkpoints"}
    settings = OmegaConf.load(finished / "config.yaml")
    assert (settings.train.seed, settings.train.n_episodes, settings.resume) == (0, 1, None)
    assert "${" not in (finished / "config.yaml").read_text()


def test_a_seed_is_drawn_and_written_down(command: Command, tmp_path: Path) -> None:
    for _ in range(2):
        assert command("train", *TINY, "checkpoint=none").code == 0
    seeds = [OmegaConf.load(path).train.seed for path in tmp_path.glob("outputs/*/*/config.yaml")]
    assert len(set(seeds)) == 2
    assert all(isinstance(seed, int) for seed in seeds)


def test_another_run_s_directory_is_left_alone(command: Command, copied: Path) -> None:
    before = snapshot(copied)
    code, out, err = command("train", *TINY, f"hydra.run.dir={copied}")
    assert (code, out) == (2, "")
    assert "holds a run already (config.yaml); go on with it by resume=" in err
    assert err.count("\n") == 1
    assert snapshot(copied) == before


def test_a_resume_that_has_nothing_left_to_do_says_so(command: Command, copied: Path) -> None:
    code, out, _ = command("train", f"resume={copied}")
    assert code == 0
    assert "there was nothing left to train" in out


def test_a_resume_takes_new_settings_and_files(command: Command, copied: Path) -> None:
    code, out, _ = command(
        "train",
        f"resume={copied}",
        "train.n_episodes=2",
        "callbacks=early_stopping",
        "logger=csv",
        "callbacks.early_stopping.target=1000",
    )
    assert code == 0
    assert "resume: train.n_episodes: 1 -> 2" in out
    assert "resume: callbacks.early_stopping.target: not set -> 1000" in out
    assert (copied / "csv" / "metrics.csv").exists()
    assert not (copied.parent / "outputs").exists()


def test_a_resume_skips_a_damaged_checkpoint(command: Command, copied: Path) -> None:
    for name in ("final", "best"):
        path = copied / "checkpoints" / name
        if path.exists():
            shutil.copytree(path, copied / "checkpoints" / "ep1", dirs_exist_ok=True)
            (path / "model_state.safetensors").write_bytes(b"damaged")
    code, _, err = command("train", f"resume={copied}", "train.n_episodes=2")
    assert code == 0, err
    assert "skipped" in err


@pytest.mark.parametrize("word", ["train.n_episods=3", "train.batch_size=0", "callbacks=early_stopping"])
def test_a_refused_resume_changes_nothing(command: Command, copied: Path, word: str) -> None:
    before = (copied / "config.yaml").read_text()
    code, _, err = command("train", f"resume={copied}", word)
    assert code == 2
    assert err.count("\n") == 1
    assert (copied / "config.yaml").read_text() == before
    assert not (copied.parent / "outputs").exists()


def test_a_run_without_checkpoints_cannot_be_resumed(command: Command, copied: Path) -> None:
    shutil.rmtree(copied / "checkpoints")
    code, _, err = command("train", f"resume={copied}")
    assert code == 2
    assert "expected a valid checkpoint to go on from, found none" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("my_code")
def test_code_beside_the_user_is_found_and_the_commands_that_are_printed_name_it_again(command: Command) -> None:
    mine = ["env.id=my_code:MyPendulum-v0", "+env.kwargs.g=5.0", "+callbacks.mine._target_=my_code.Tell"]
    code, out, _ = command("train", *TINY, *mine, "+callbacks.mine.word=done", "hydra.run.dir='my, own run'")
    assert code == 0
    assert "done 1" in out
    printed = {line.split("  ")[0]: line.partition("velora ")[2] for line in out.splitlines() if "velora " in line}
    code, evaluated, err = command(*shlex.split(printed["evaluate"]), "episodes=1")
    assert code == 0, err
    assert evaluated.splitlines()[-2].split()[1] == out[out.index("\nreturn") :].split()[1]
    code, out, err = command(*shlex.split(printed["go on"]))
    assert code == 0, err
    assert "done 2" in out


@pytest.mark.usefixtures("my_code")
@pytest.mark.slow
def test_a_job_that_works_in_its_own_directory_means_the_same_by_every_word(command: Command) -> None:
    """``hydra.job.chdir`` is for files that the user's own code writes."""
    own = ["hydra.job.chdir=true", "env.id=my_code:MyPendulum-v0"]
    code, out, err = command("train", *TINY, *own, "hydra.run.dir=here/run")
    assert code == 0, err
    assert "run       here/run\n" in out
    for what in ("evaluate", "go on"):
        (line,) = (line for line in out.splitlines() if line.startswith(what))
        code, _, err = command(*shlex.split(line.partition("velora ")[2]), own[0])
        assert code == 0, err
    refused = command("train", *TINY, *own, "train.batch_size=0", "hydra.run.dir=there/run")
    assert refused.code == 2
    assert not Path("there").exists()
    code, out, err = command("train", "-m", *TINY, *own, "train.seed=1,2", "hydra.sweep.dir=sweep")
    assert code == 0, err


def test_an_agent_of_the_user_s_is_trained_resumed_and_evaluated(command: Command, tmp_path: Path) -> None:
    (tmp_path / "my_agents.py").write_text(
        "from velora.checkpoint import agents\n"
        "from velora.models import LiquidDDPG\n\n\n"
        '@agents.register("my_ddpg")\n'
        "class MyDDPG(LiquidDDPG):\n"
        '    key = "my_ddpg"\n'
    )

    def new_process() -> None:
        sys.modules.pop("my_agents", None)
        agents._entries.pop("my_ddpg", None)

    code, out, err = command("train", *TINY, "agent._target_=my_agents.MyDDPG", "hydra.run.dir='my run'")
    new_process()
    assert code == 0, err
    printed = {line.split("  ")[0]: line.partition("velora ")[2] for line in out.splitlines() if "velora " in line}
    code, evaluated, err = command(*shlex.split(printed["evaluate"]), "episodes=1")
    new_process()
    assert code == 0, err
    assert evaluated.splitlines()[-2].split()[1] == out[out.index("\nreturn") :].split()[1]
    assert " over 1 episode of Pendulum-v1" in evaluated
    code, _, err = command(*shlex.split(printed["go on"]))
    new_process()
    assert code == 0, err
    code, _, err = command("evaluate", "checkpoint='my run'")
    assert code == 2
    assert "holds an agent 'my_ddpg', expected one of liquid_ddpg, " in err
    assert "name a class of your own: agent._target_=my_module.MyAgent" in err
    assert err.count("\n") == 1


def test_a_run_that_ends_within_its_first_episode_has_trained(command: Command) -> None:
    steps = ["train.n_steps=20", "hydra.run.dir=run"]
    code, out, err = command("train", *(word for word in TINY if "n_episodes" not in word), *steps)
    assert code == 0, err
    assert "ended     finished\n" in out
    assert "trained   0 episodes, 20 steps" in out
    assert "ended     finished\n" in command("train", "resume=run", "train.n_steps=40").out
    assert "there was nothing left to train" in command("train", "resume=run").out


@pytest.mark.usefixtures("my_code")
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["+callbacks.mine._target_=my_code.Trip"], "ZeroDivisionError: tripped"),
        (["env.id=my_code:MyBreaking-v0"], "KeyError: 'broken'"),
    ],
)
def test_an_error_of_the_user_s_code_keeps_its_traceback(
    command: Command, tmp_path: Path, words: list[str], error: str
) -> None:
    code, _, err = command("train", *TINY, *words)
    assert code == 1
    assert 'my_code.py", line' in err
    assert err.rstrip().endswith(error)
    (log,) = tmp_path.glob("outputs/*/*/train.log")
    assert 'my_code.py", line' in log.read_text()


@pytest.mark.usefixtures("my_code")
def test_a_user_s_own_files_extend_ours(command: Command, tmp_path: Path) -> None:
    files = {
        "agent/wide.yaml": "defaults: [liquid_ddpg, _self_]\nn_neurons: 7\n",
        "env/mine.yaml": "id: my_code:MyPendulum-v0\nrecommended: {n_episodes: 1}\n",
        "callbacks/tell.yaml": "mine: {_target_: my_code.Tell}\n",
        "experiment/all.yaml": "# @package _global_\ndefaults: [override /agent: wide, override /env: mine]\n",
    }
    for name, text in files.items():
        path = tmp_path / "my_conf" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    tiny = [word for word in TINY if "n_neurons" not in word and "n_episodes" not in word]
    code, out, err = command("train", "--config-dir", "my_conf", "experiment=all", "callbacks=tell", *tiny)
    assert code == 0, err
    assert "episode 1" in out
    (settings,) = tmp_path.glob("outputs/*/*/config.yaml")
    assert OmegaConf.load(settings).agent.n_neurons == 7
    assert "no such choice; did you mean wide?" in command("train", "--config-dir", "my_conf", "agent=wied").err


def test_an_unknown_key_in_a_user_s_file_is_refused(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "my_conf" / "agent" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("defaults: [liquid_ddpg, _self_]\nunitz: 7\n")
    code, _, err = command("train", "--config-dir", "my_conf", "agent=mine", *TINY)
    assert code == 2
    assert "unitz" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_failing_job_of_a_sweep_is_reported_and_the_others_run(command: Command, tmp_path: Path) -> None:
    tiny = [word for word in TINY if "n_neurons" not in word]
    code, out, err = command(
        "train", "-m", "sweep=basic", "hydra.sweep.dir=s", "agent.n_neurons=2,3", "checkpoint=none", *tiny
    )
    assert code == 2
    (failed,), (done,) = tmp_path.glob("s/n-neurons-2_*"), tmp_path.glob("s/n-neurons-3_*")
    why = "agent.n_neurons: input should be greater than or equal to 3, got 2"
    assert err.splitlines() == [
        f"velora train: {failed.name}: {why}",
        f"velora train: s/{failed.name}: failed: {why}",
        "velora train: 1 of 2 jobs failed; go on with: velora train resume=s sweep=basic retry=failed",
    ]
    assert [line.split()[0] for line in out.splitlines()[-4:]] == ["n_neurons", "3", "table", "compare"]
    assert {path.name for path in failed.iterdir()} == {"failure.json"}
    assert (done / "result.json").exists()


@pytest.mark.slow
def test_a_sweep_goes_over_a_cell_that_a_setting_has_no_effect_with(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    outcome = command(
        "train", "-m", "sweep=basic", "agent.cell=cfc,memoryless", "agent.burn_in=2", *TINY, "agent.warmup_steps=250"
    )
    assert outcome.code == 0
    told = "burn_in: 2 has no effect with cell='memoryless', since there is no recurrent state to bring up to date"
    assert (outcome.out + outcome.err).count(told) == 1
    assert len(list(tmp_path.glob("multirun/*/*/*/checkpoints/final"))) == 2


def test_a_run_that_was_begun_with_a_setting_without_effect_is_gone_on_with(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    """As the release began it that took every setting in silence."""
    with taken_over(is_known=True):
        assert command("train", *TINY, "agent.noise_decay_steps=50", "hydra.run.dir=run").code == 0
    outcome = command("train", "resume=run", "train.n_episodes=2")
    assert outcome.code == 0
    assert "noise_decay_steps: 50 has no effect with noise_final_std=None" in outcome.out + outcome.err
    assert OmegaConf.load(tmp_path / "run" / "config.yaml").agent.noise_decay_steps == 50
    assert command("evaluate", "checkpoint=run", "episodes=1").code == 0
