"""A step that its environment fails is gone on with: what was chosen and learned in it isn't done twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch

import velora
from tests.shared import QUIET, digests
from tests.unit.distill.test_distill import Rule, student_of, swing
from tests.unit.training.test_state_schema import put
from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import CheckpointError
from velora.distill import distill
from velora.models import Agent, LiquidTD3
from velora.training.resume import codec
from velora.training.resume.fits import check_fits
from velora.training.resume.state_schema import RunState

N_STEPS, AT = 60, 45
SEEDS = (3, 4)


class Breaks(gym.Wrapper[Any, Any, Any, Any]):
    """Fail after so many steps."""

    def __init__(self, env: gym.Env[Any, Any], after: int) -> None:
        super().__init__(env)
        self.left = after

    def step(self, action: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("broken")
        return self.env.step(action)


def sound() -> gym.Env[Any, Any]:
    return gym.make("Pendulum-v1", max_episode_steps=25)


class Broken:
    """Make environments of which the last breaks; it can be sent to a process."""

    def __init__(self, n_envs: int = len(SEEDS), after: int = AT) -> None:
        self.left, self.after = n_envs, after

    def __call__(self) -> gym.Env[Any, Any]:
        self.left -= 1
        return Breaks(sound(), self.after) if self.left == 0 else sound()


def td3(**own: Any) -> Agent:
    return LiquidTD3(3, 6, 1, **{"warmup_steps": 10, "buffer_size": 100, "device": "cpu", "seeds": SEEDS, **own})


def train(home: Path, env: Callable[[], gym.Env[Any, Any]] = sound, *more: Callback, **options: Any) -> Agent:
    settings = options.pop("settings", {})
    agent = td3(**settings)
    agent.train(env, 8, callbacks=[SaveCheckpoints(home), *more], **{"n_steps": N_STEPS, **QUIET, **options})
    return agent


def cut(home: Path, *more: Callback, **options: Any) -> Path:
    """Train into a step that fails."""
    with pytest.raises(RuntimeError, match="broken"):
        train(home, Broken(), *more, **options)
    return home


def finals(home: Path, *seeds: int) -> list[dict[str, str]]:
    return [digests(home / f"seed{seed}" / "final") for seed in seeds or SEEDS]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    train(home)
    return home


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(tmp_path_factory.mktemp("cut"))


def state_of(path: Path) -> Any:
    checkpoint = Checkpoint.open(path)
    return codec.unpack(checkpoint.metadata.train_state, checkpoint.read("train_state"))


def copied(home: Path, place: Path) -> Path:
    return Path(shutil.copytree(home, place))


def test_the_update_is_made_and_the_step_is_not_counted(crashed: Path) -> None:
    for seed in SEEDS:
        at = Checkpoint.open(crashed / f"seed{seed}" / "crashed").metadata.progress
        assert (at.step, at.update) == (AT, AT - 9)


def test_several_updates_in_a_step(tmp_path: Path) -> None:
    settings = {"updates_per_step": 3}
    train(tmp_path / "whole", settings=settings)
    train(cut(tmp_path / "cut", settings=settings), resume=tmp_path / "cut", settings=settings)
    assert finals(tmp_path / "cut") == finals(tmp_path / "whole")


def test_environments_in_processes(tmp_path: Path, whole: Path) -> None:
    cut(tmp_path, workers=2)
    train(tmp_path, workers=2, resume=tmp_path)
    assert finals(tmp_path) == finals(whole)


def test_a_seed_that_begins_anew_beside_it(tmp_path: Path, whole: Path, crashed: Path) -> None:
    home = copied(crashed, tmp_path / "both")
    shutil.rmtree(home / "seed4" / "crashed")
    train(home, resume=home)
    assert finals(home, 3) == finals(whole, 3)
    weights = [Checkpoint.open(one / "seed4" / "final").read("model_state") for one in (home, whole)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_one_of_the_seeds_goes_on_alone(tmp_path: Path, whole: Path, crashed: Path) -> None:
    train(tmp_path, resume=crashed / "seed4", settings={"seeds": (4,)})
    weights = [Checkpoint.open(one / "final").read("model_state") for one in (tmp_path, whole / "seed4")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_run_that_is_saved_before_it_takes_the_step_has_it_still(tmp_path: Path, whole: Path, crashed: Path) -> None:
    home = copied(crashed, tmp_path / "home")
    train(home, resume=home, n_steps=AT)  # which it has taken
    assert state_of(home / "seed3" / "final")["begun"]
    train(home, resume=home)
    assert finals(home) == finals(whole)


def test_a_step_that_fails_again(tmp_path: Path, whole: Path, crashed: Path) -> None:
    home = copied(crashed, tmp_path / "home")
    with pytest.raises(RuntimeError, match="broken"):
        train(home, Broken(after=AT - 25), resume=home)  # the second episode alone is lived again
    train(home, resume=home)
    assert finals(home) == finals(whole)


@pytest.mark.parametrize(("per_step", "after"), [(1.0, 45), (0.25, 43), (0.25, 44)])  # due, due, and not
def test_a_student_with_its_teacher(per_step: float, after: int, tmp_path: Path) -> None:
    def taught(home: Path, env: Any = sound, resume: Path | None = None) -> None:
        saving = SaveCheckpoints(home)
        student = student_of(seeds=SEEDS, seed=None)
        more: dict[str, Any] = {"beta_steps": 40, "updates_per_step": per_step, "n_steps": N_STEPS, **QUIET}
        distill(student, Rule(swing), env, 4, callbacks=[saving], resume=resume, **more)

    taught(tmp_path / "whole")
    with pytest.raises(RuntimeError, match="broken"):
        taught(tmp_path / "cut", Broken(after=after))
    crashed = tmp_path / "cut" / "seed3" / "crashed"
    assert velora.verify(crashed).is_whole
    with pytest.raises(CheckpointError, match="the run learns from a teacher"):
        student_of(seed=3).train(sound, 4, n_steps=N_STEPS, resume=crashed, **QUIET)
    taught(tmp_path / "cut", resume=tmp_path / "cut")
    assert finals(tmp_path / "cut") == finals(tmp_path / "whole")


def test_the_row_of_an_update_is_written_once(tmp_path: Path) -> None:
    """That of a step's last update waits for the end of the step."""
    tables = []
    for name in ("whole", "cut"):
        options: dict[str, Any] = {"run_dir": tmp_path / name, "logger": "csv", "log_every": AT - 9}
        if name == "cut":
            options["resume"] = cut(tmp_path / name / "checkpoints", **options)
        train(tmp_path / name / "checkpoints", **options)
        tables.append([file.read_text() for file in sorted((tmp_path / name).rglob("*.csv"))])
    assert tables[0]
    assert tables[0] == tables[1]


class FailsOnce(Callback):
    """Fail in a hook of the update number AT."""

    def __init__(self, hook: str) -> None:
        self.is_done = False
        setattr(self, hook, self.fail)

    def on_train_batch_start(self, trainer: Any, agent: Any, batch: Any, batch_idx: int) -> None:
        """Be replaced."""

    def on_train_batch_end(self, trainer: Any, agent: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Be replaced."""

    def fail(self, trainer: Any, *_: Any) -> None:
        if trainer.step == AT and not self.is_done:
            self.is_done = True
            raise RuntimeError("broken")


@pytest.mark.parametrize("hook", ["on_train_batch_start", "on_train_batch_end"])
def test_an_update_that_a_hook_breaks_off_is_said(
    hook: str, tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailsOnce(hook)
    with pytest.raises(RuntimeError, match="broken"):
        train(tmp_path, sound, failing)
    train(tmp_path, sound, failing, resume=tmp_path)
    said = [line for line in caplog.messages if "same bits" in line and "failed after" in line]
    assert len(said) == (len(SEEDS) if hook == "on_train_batch_start" else 0)
    if hook == "on_train_batch_end":
        assert finals(tmp_path) == finals(whole)


BEGUN: dict[str, tuple[Any, str]] = {
    "a row of another width": (put("begun/row", torch.zeros(1, 1, 3)), "begun.row: expected torch.float32 of (1, 1, "),
    "more than a row": (put("begun/more", torch.zeros(1, 1, 3)), "begun: expected the members row, found row, more"),
    "NaN": (lambda tree: tree["begun"]["row"].fill_(torch.nan), "begun.row: expected finite numbers"),
    "two ends": (lambda tree: tree["begun"]["row"].fill_(2.0), "begun.row: terminated: expected numbers from 0 to 1"),
    "an episode that is over": (put("lane/ended", [False, True]), "begun: expected none, since an episode isn't going"),
    "updates to come": (put("lane/logged_at", 99), "lane.logged_at: expected at most 36 updates, found 99"),
}


@pytest.mark.parametrize("name", BEGUN)
def test_a_forged_one_is_named(crashed: Path, name: str) -> None:
    change, told = BEGUN[name]
    path = crashed / "seed3" / "crashed"
    tree = state_of(path)
    change(tree)
    agent = LiquidTD3.load(path, device="cpu")
    with pytest.raises(CheckpointError) as error:
        check_fits(RunState.read(tree), agent, Checkpoint.open(path).metadata, 0)
    assert told in str(error.value)
