from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from velora.callbacks import Callback, SaveCheckpoints
from velora.checkpoint import Checkpoint
from velora.core.errors import NonFiniteError, RunDirectoryError, SettingError

from .saved import episode_in, names, run
from .stand_in import Agent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


# ---- what is written, and when


def test_every_frequency_th_episode_and_the_end_are_saved(home: Path) -> None:
    trainer = run(home, frequency=2)
    trainer.start()
    trainer.play(*range(5))
    trainer.end()
    assert names(home) == {"ep2", "ep4", "final", "model_config.json"}
    assert [episode_in(home / name) for name in ("ep2", "ep4", "final")] == [2, 4, 5]
    assert trainer.saves == [("ep2", True, True), ("ep4", True, False), ("final", True, False)]


def test_numbers_are_never_rounded(home: Path) -> None:
    trainer = run(home, frequency=1001, final=False)
    trainer.start()
    trainer.play(*[0.0] * 1001)
    trainer.end()
    assert names(home) == {"ep1001", "model_config.json"}


def test_without_a_frequency_only_the_end_is_saved(home: Path) -> None:
    trainer = run(home, frequency=None, buffer=False)
    trainer.start()
    trainer.play(*range(200))
    trainer.end("stopped")
    assert trainer.saves == [("final", False, True)]


def test_what_belongs_to_an_episode_end_is_done_before_it_is_saved(home: Path) -> None:
    class Count(Callback):
        ends = 0

        def state_dict(self) -> dict[str, Any]:
            return {"ends": self.ends}

        def on_episode_end(self, *args: Any) -> None:
            self.ends += 1

    trainer = run(home, frequency=1)
    trainer.callbacks = [*trainer.callbacks, Count()]
    trainer.start()
    trainer.play(0.0)
    state = Checkpoint.open(home / "ep1").metadata.train_state
    assert state is not None
    assert state["callbacks"][Count().state_key] == {"ends": 1}  # type: ignore[index, call-overload]
    trainer.end()


def test_a_better_evaluation_is_kept(home: Path) -> None:
    trainer = run(home)
    trainer.start()
    for value in (-5.0, -9.0, float("nan"), 0.0, 0.0):
        trainer.play(0.0)
        trainer.show_evaluation(value)
    assert episode_in(home / "best") == 4
    assert trainer.callbacks[0].seed_state_dict(7) == {"best": 0.0}
    assert trainer.callbacks[0].seed_state_dict(8) == {}
    trainer.end()


def test_the_best_outlives_a_resume(home: Path) -> None:
    trainer = run(home, frequency=1)
    trainer.start()
    trainer.play(0.0)
    trainer.show_evaluation(10.0)
    trainer.end("interrupted")
    state = trainer.callbacks[0].seed_state_dict(7)
    trainer = run(home)
    trainer.fire("setup", "fit")
    trainer.callbacks[0].load_seed_state_dict(7, state)
    trainer.fire("on_train_start")
    trainer.play(0.0, 0.0)
    trainer.show_evaluation(9.0)
    assert episode_in(home / "best") == 1
    trainer.end()


def test_each_seed_has_a_directory(home: Path) -> None:
    trainer = run(home, agent=Agent(seeds=(3, 11)), frequency=2)
    trainer.start()
    assert names(home / "seed3") == names(home / "seed11") == set()  # empty, and not missing: nothing saved yet
    trainer.play(0.0, 0.0, seed_index=1)
    trainer.show_evaluation(1.0, seed_index=1)
    trainer.end()
    assert names(home) == {"seed3", "seed11"}
    assert names(home / "seed11") == {"ep2", "best", "final", "model_config.json"}
    assert names(home / "seed3") == {"final", "model_config.json"}
    assert Checkpoint.open(home / "seed11" / "final").metadata.seed == 11


# ---- how a run may end


def test_a_signal_leaves_interrupted_and_no_final(home: Path) -> None:
    trainer = run(home)
    trainer.start()
    trainer.play(0.0)
    trainer.end("interrupted")
    assert names(home) == {"interrupted", "model_config.json"}


def test_an_error_leaves_crashed_and_no_final(home: Path) -> None:
    trainer = run(home)
    trainer.start()
    trainer.play(0.0)
    trainer.crash(RuntimeError("the environment broke"))
    assert names(home) == {"crashed", "model_config.json"}


def test_a_save_that_fails_after_an_error_is_logged_and_hides_nothing(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = run(home)
    trainer.start()
    trainer.disk_is_full = True
    trainer.crash(RuntimeError("the environment broke"))
    assert "seed 7 is not saved as crashed/: [Errno 28] No space left on device" in caplog.text
    assert "Traceback" not in caplog.text


def test_an_agent_of_nan_is_not_saved(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    trainer = run(home, frequency=1)
    trainer.start()
    trainer.play(0.0)
    trainer.crash(NonFiniteError("actor/loss is nan"))
    assert "nothing is saved of the end of the run: actor/loss is nan" in caplog.text
    assert names(home) == {"ep1", "model_config.json"}


def test_an_error_before_training_saves_nothing(home: Path) -> None:
    trainer = run(home)
    trainer.fire("setup", "fit")
    trainer.crash(RuntimeError("another callback refused"))
    assert names(home) == set()


# ---- keep_last


def test_the_oldest_go_once_a_newer_one_is_written(home: Path) -> None:
    trainer = run(home, frequency=1, keep_last=2)
    trainer.start()
    trainer.play(0.0, 0.0)
    assert names(home) == {"ep1", "ep2", "model_config.json"}
    trainer.play(*[0.0] * 9)
    trainer.end()
    assert names(home) == {"ep10", "ep11", "final", "model_config.json"}
    assert not any("pruned" in name for name in os.listdir(home))


def test_only_this_runs_valid_checkpoints_are_removed(home: Path) -> None:
    trainer = run(home, frequency=1, keep_last=1)
    trainer.start()
    trainer.play(0.0)
    (home / "ep01").mkdir()
    (home / "episodes").write_text("mine")
    (home / "ep0").mkdir()
    broken = home / "ep1" / "metadata.json"
    broken.write_bytes(broken.read_bytes()[:-10])
    trainer.play(0.0, 0.0)
    assert {"ep1", "ep3", "ep01", "ep0", "episodes"} <= names(home)
    assert "ep2" not in names(home)
    trainer.end()


def test_checkpoints_of_later_episodes_stay_after_a_resume_from_an_earlier_one(home: Path) -> None:
    trainer = run(home, frequency=1)
    trainer.start()
    trainer.play(*[0.0] * 5)
    trainer.end("interrupted")
    trainer = run(home, frequency=1, keep_last=1)
    trainer.start()
    trainer.play(0.0, 0.0)
    assert {"ep2", "ep3", "ep4", "ep5"} <= names(home)
    assert "ep1" not in names(home)
    trainer.end()


# ---- whose directory it is


def test_the_same_run_goes_on_in_its_directory(home: Path) -> None:
    for episodes in (1, 2):
        trainer = run(home, frequency=1)
        trainer.start()
        trainer.play(*[0.0] * episodes)
        trainer.end()
    assert names(home) == {"ep1", "ep2", "final", "model_config.json"}


@pytest.mark.parametrize("agent", [Agent(), Agent(seeds=(1, 2))])
def test_another_runs_directory_is_refused_with_the_way_out(home: Path, agent: Agent) -> None:
    trainer = run(home, agent=agent)
    trainer.start()
    trainer.end()
    before = sorted(home.rglob("*"))
    with pytest.raises(RunDirectoryError, match=r"found final of run run-1; go on with that run by resume='.*', or"):
        run(home, agent=agent, run_id="run-2").start()
    assert sorted(home.rglob("*")) == before


def test_a_run_of_several_seeds_is_no_place_for_a_run_of_one(home: Path) -> None:
    trainer = run(home, agent=Agent(seeds=(1, 2)))
    trainer.start()
    trainer.end()
    with pytest.raises(RunDirectoryError, match="found 'seed1'"):
        run(home, run_id="run-2").start()


def test_a_checkpoint_saved_by_hand_is_not_overwritten(home: Path) -> None:
    Checkpoint.write(
        home / "ep10",
        metadata={"agent": "liquid_ddpg", "seed": 7, "settings": {}, "optimizers": {}},
        tensors={"model_state": {}, "optim_state": {}},
    )
    with pytest.raises(RunDirectoryError, match="found ep10 that no run wrote"):
        run(home).start()


@pytest.mark.parametrize("foreign", ["thesis.tex", "ep10/photo.jpg", "seed7/x", "best"])
def test_foreign_files_are_refused_and_left_alone(home: Path, foreign: str) -> None:
    (home / foreign).parent.mkdir(parents=True)
    (home / foreign).write_text("mine")
    with pytest.raises(RunDirectoryError, match="choose"):
        run(home).start()
    assert [path for path in home.rglob("*") if path.is_file()] == [home / foreign]


def test_an_overview_without_its_checkpoints_is_refused(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "model_config.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match=r"found model_config\.json without its checkpoints"):
        run(home).start()


def test_what_a_killed_run_was_removing_goes_when_it_is_resumed(home: Path) -> None:
    killed = run(home, frequency=1)
    killed.start()
    killed.play(0.0)
    killed.end("interrupted")
    (home / "ep1").rename(home / ".velora-pruned-ep1")
    run(home).start()
    assert not (home / ".velora-pruned-ep1").exists()


@pytest.mark.parametrize("seeds", [(7,), (3, 11)])
def test_a_run_that_was_killed_in_its_first_save_does_not_block_the_next(home: Path, seeds: tuple[int, ...]) -> None:
    """The overview stands in the parent directory just before the checkpoint does."""
    killed = run(home, agent=Agent(seeds=seeds))
    killed.start()
    for parent in [home] if len(seeds) == 1 else [home / f"seed{seed}" for seed in seeds]:
        (parent / "model_config.json").write_text('{"agent": "another"}')
    killed.fire("teardown", "fit")
    again = run(home, agent=Agent(seeds=seeds), frequency=1)
    again.start()
    again.play(0.0)
    assert (home / "ep1").exists() or (home / f"seed{seeds[0]}" / "ep1").exists()


def test_a_seed_that_was_killed_in_its_first_save_does_not_block_the_others(home: Path) -> None:
    trainer = run(home, agent=Agent(seeds=(3, 11)), frequency=1)
    trainer.start()
    trainer.play(0.0, seed_index=1)
    trainer.end("interrupted")
    shutil.rmtree(home / "seed3" / "interrupted")
    again = run(home, agent=Agent(seeds=(3, 11)))
    again.start()
    again.end("interrupted")
    with pytest.raises(RunDirectoryError, match=r"of run run-1; go on with that run by resume='[^']*checkpoints'"):
        run(home, agent=Agent(seeds=(3, 11)), run_id="run-2").start()


def test_what_a_file_browser_or_a_killed_save_left_is_no_obstacle(home: Path) -> None:
    (home / ".velora-stage-1-0123456789abcdef" / "new").mkdir(parents=True)
    (home / ".DS_Store").write_text("")
    (home / "ep3").mkdir()
    trainer = run(home, frequency=3)
    trainer.start()
    trainer.play(*range(3))
    trainer.end()
    assert episode_in(home / "ep3") == 3


def test_a_broken_checkpoint_is_replaced(home: Path) -> None:
    (home / "ep1").mkdir(parents=True)
    (home / "ep1" / "metadata.json").write_text("")
    (home / "ep1" / "model_state.safetensors").write_text("")
    trainer = run(home, frequency=1)
    trainer.start()
    trainer.play(0.0)
    trainer.end()
    assert episode_in(home / "ep1") == 1


def test_a_directory_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "checkpoints"):
        with pytest.raises(RunDirectoryError, match="expected a directory that can be written, got 'Not a directory'"):
            run(place).start()


def test_two_callbacks_cannot_share_a_directory(home: Path) -> None:
    first = run(home)
    first.start()
    with pytest.raises(RunDirectoryError, match="another process is saving its checkpoints here"):
        run(home).start()
    first.end()
    second = run(home)
    second.start()
    second.end()


HOLD = """
import sys
sys.path.insert(0, sys.argv[1])
from velora.callbacks import SaveCheckpoints
from callbacks.stand_in import Trainer
trainer = Trainer(callbacks=[SaveCheckpoints(sys.argv[2])])
trainer.start()
print("claimed", flush=True)
sys.stdin.readline()
"""


def test_a_live_process_keeps_others_out_and_a_killed_one_does_not(home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(Path(__file__).parents[1]), str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(RunDirectoryError, match="wait until it ends, stop it, or choose another directory"):
            run(home).start()
        other.kill()
    trainer = run(home)
    trainer.start()
    trainer.end()
    assert "final" in names(home)


def test_a_change_of_working_directory_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    trainer = run(Path("checkpoints"))
    trainer.start()
    monkeypatch.chdir(tmp_path / "elsewhere")
    trainer.end()
    assert (tmp_path / "checkpoints" / "final").is_dir()
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("setting", ["frequency", "steps", "keep_last", "keep_best"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10"])
def test_bad_settings(setting: str, value: object) -> None:
    with pytest.raises(SettingError, match=rf"save_checkpoints\.{setting}: expected a whole number >= 1"):
        SaveCheckpoints("x", **{setting: value})  # type: ignore[arg-type]
