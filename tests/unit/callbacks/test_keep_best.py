"""The agents of the best few evaluations are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from .saved import episode_in, names, run
from .stand_in import Trainer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


def show(trainer: Trainer, *means: float) -> None:
    """Play 200 steps before each evaluation."""
    for mean in means:
        trainer.play(0.0)
        trainer.show_evaluation(mean)


def test_the_best_few_are_kept(home: Path) -> None:
    trainer = run(home, keep_best=2)
    trainer.start()
    show(trainer, 1.0, float("nan"), 5.0, 3.0, 2.0, 3.0)
    assert names(home) == {"best", "top600", "top800", "model_config.json"}  # of equal ones the first
    assert episode_in(home / "best") == episode_in(home / "top600") == 3
    trainer.end()


def test_the_best_few_outlive_a_resume(home: Path) -> None:
    trainer = run(home, keep_best=2)
    trainer.start()
    show(trainer, 1.0, 5.0)
    trainer.end("interrupted")
    state = trainer.callbacks[0].seed_state_dict(7)
    again = run(home, keep_best=2)
    again.fire("setup", "fit")
    again.callbacks[0].load_seed_state_dict(7, state)
    again.lanes[0].step, again.lanes[0].episode = 400, 2
    again.fire("on_train_start")
    show(again, 0.0, 3.0)
    assert {name for name in names(home) if name.startswith("top")} == {"top400", "top800"}
    again.end()


def test_by_default_the_best_is_not_written_twice(home: Path) -> None:
    trainer = run(home)
    trainer.start()
    show(trainer, 1.0, 5.0)
    assert names(home) == {"best", "model_config.json"}
    trainer.end()


def test_a_full_disk_forgets_what_it_didn_t_keep(home: Path) -> None:
    trainer = run(home, keep_best=2)
    trainer.start()
    trainer.disk_is_full = True
    show(trainer, 9.0)
    trainer.disk_is_full = False
    show(trainer, 1.0, 2.0)
    assert {name for name in names(home) if name.startswith("top")} == {"top400", "top600"}
    trainer.end()
