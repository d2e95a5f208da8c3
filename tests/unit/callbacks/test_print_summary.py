from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from velora.callbacks import PrintSummary

from .stand_in import Agent, Trainer


def printed(trainer: Trainer, width: int = 100) -> str:
    console = Console(file=io.StringIO(), record=True, width=width)
    trainer.callbacks = [PrintSummary(console=console)]
    trainer.start()
    return console.export_text()


def test_it_says_what_is_trained() -> None:
    text = printed(Trainer(run_dir=Path("outputs/[red]run"), n_steps=6000))
    for fact in (
        "LiquidDDPG",
        "Pendulum-v1",
        "10 episodes, at most 6,000 steps",
        "cpu (",
        " thread",
        "outputs/[red]run",
        "3 -> 8 -> 6 -> 1, 60 synapses",
        "400 (40%)",
        "fully connected",
        "4,545",
    ):
        assert fact in text
    assert "seed " in text
    assert "goes on from" not in text


def test_several_seeds_and_no_run_directory() -> None:
    text = printed(Trainer(Agent(seeds=(0, 1, 2))))
    assert "0 to 2 (3 side by side)" in text
    assert "cpu (native kernel, 1 thread)" in text
    assert "metrics stay in memory" in text


def test_a_resumed_run_says_where_it_goes_on() -> None:
    trainer = Trainer()
    trainer.lanes[0].episode, trainer.lanes[0].step = 50, 10_000
    assert "episode 50, step 10,000" in printed(trainer)


def test_seeds_that_stand_apart_are_said_to() -> None:
    trainer = Trainer(Agent(seeds=(3, 5), kernel="torch"))
    for lane, episodes in zip(trainer.lanes, (4, 2), strict=True):
        lane.episode, lane.step = episodes, 200 * episodes
    text = printed(trainer, width=200)
    assert "episode 2, step 400 (the seed that stands last) to episode 4, step 800" in text
    assert "3, 5 (2 side by side)" in text
    assert "cpu (PyTorch, " in text


def test_it_fits_a_narrow_terminal() -> None:
    assert max(map(len, printed(Trainer(), width=50).splitlines())) <= 50
