from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from velora.callbacks import ProgressBar
from velora.callbacks.progress_view import Snapshot, describe
from velora.core.errors import SettingError
from velora.core.types import WindowStats

from .stand_in import Agent, Trainer

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def run(
    stream: io.StringIO, *, terminal: bool, agent: Agent | None = None, width: int = 200, often: float = 1e9
) -> Trainer:
    console = Console(file=stream, force_terminal=terminal, width=width, color_system=None)
    bar = ProgressBar(console=console, refresh_per_second=often, seconds_per_line=1 / often)
    return Trainer(agent or Agent(), callbacks=[bar], reported={"actor/loss": -1.25, "critic/loss": 0.5, "q": 3.0})


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False)
    trainer.start()
    trainer.play(-1000.0)
    trainer.learn(2)
    trainer.play(-500.0, -600.0)
    trainer.show_evaluation(-300.0, -100.0)
    trainer.end()
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue()
    assert lines[0].startswith("[warm-up] | episode 0/10 | step 0")
    assert "return -1,000.0, max -1,000.0 (1 of 3)" in lines[1]
    assert lines[2].startswith("[training]")
    assert "return -700.0, max -500.0 (last 3)" in lines[-1]
    assert "actor/loss -1.25 | critic/loss 0.5" in lines[-1]
    assert "evaluation -200.0" in lines[-1]
    assert lines[-1].startswith("[finished] | episode 3/10 | step 600")
    assert not any("q 3" in line for line in lines)


def test_a_line_is_never_broken() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False, width=20)
    trainer.start()
    trainer.end()
    assert len(stream.getvalue().splitlines()) == 2


def test_a_bar_on_a_terminal() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=True)
    trainer.start()
    assert HIDE in stream.getvalue()
    trainer.play(1.0)
    trainer.learn()
    trainer.show_evaluation(5.0)
    trainer.play(*[0.0] * 9)
    trainer.end()
    text = plain(stream.getvalue())
    for shown in (
        "warm-up",
        "10%",
        "evaluating",
        "evaluation 5",
        "100%",
        "finished",
        "episode 10/10",
        "return 0, max 0",
    ):
        assert shown in text
    assert stream.getvalue().rindex(SHOW) > stream.getvalue().rindex(HIDE)


def test_a_narrow_terminal_is_no_error() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=True, width=12)
    trainer.start()
    trainer.play(1.0)
    trainer.end()
    assert "finished" in plain(stream.getvalue())


@pytest.mark.parametrize("error", [RuntimeError("the environment broke"), KeyboardInterrupt()])
def test_an_error_leaves_the_terminal_clean(error: BaseException) -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=True)
    before = sys.stdout, sys.stderr
    trainer.start()
    trainer.play(1.0)
    trainer.crash(error)
    assert stream.getvalue().rstrip().endswith(SHOW)
    assert stream.getvalue().count(HIDE) == stream.getvalue().count(SHOW)
    assert (sys.stdout, sys.stderr) == before
    length = len(stream.getvalue())
    trainer.learn()
    assert len(stream.getvalue()) == length


def test_between_two_drawings_nothing_is_drawn_or_read() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False, often=1e-3)
    trainer.start()
    trainer.learn()  # the first one ends the warm-up, which is shown
    length, n_reads = len(stream.getvalue()), trainer.n_reads
    trainer.learn(1000)
    trainer.play(1.0, 2.0)
    assert len(stream.getvalue()) == length
    assert trainer.n_reads == n_reads


def test_several_seeds_are_summed_up() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False, agent=Agent(seeds=(1, 2)))
    trainer.start()
    trainer.play(10.0, 20.0, 30.0, seed_index=0)
    trainer.play(100.0, seed_index=1)
    trainer.show_evaluation(10.0, seed_index=0)
    trainer.show_evaluation(40.0, seed_index=1)
    trainer.end()
    last = stream.getvalue().splitlines()[-1]
    assert "[finished] | 2 seeds | episode 1..3/10 | step 200..600 (" in last
    assert "/s in all) | return 60 ± 40, max 100.0 (1 of 3) | evaluation 25 ± 15 |" in last


def test_a_seed_that_is_done_no_longer_holds_the_others_up() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=True, agent=Agent(seeds=(1, 2)))
    trainer.start()
    trainer.play(1.0, seed_index=0)
    trainer.stop("enough", seed_index=0)
    trainer.play(1.0, 1.0, seed_index=1)
    text = plain(stream.getvalue())
    assert "2 seeds, 1 done  episode 2/10  step 400" in text
    assert "60%" in text  # one is done, the other has played 2 of 10
    trainer.end()


def test_a_resumed_run_starts_where_it_is() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False)
    trainer.lanes[0].episode, trainer.lanes[0].step, trainer.lanes[0].update = 4, 800, 700
    trainer.start()
    assert stream.getvalue().startswith("[training] | episode 4/10 | step 800")


def test_a_step_budget_is_shown_and_ends_the_bar() -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=True)
    trainer.n_steps = 400
    trainer.start()
    trainer.play(1.0, 1.0)
    trainer.end()
    assert "step 400/400" in plain(stream.getvalue())
    assert "100%" in plain(stream.getvalue())


def test_a_stream_that_was_closed_ends_the_bar_and_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    trainer = run(stream, terminal=False)
    trainer.start()
    stream.close()
    trainer.play(1.0, 2.0, 3.0)
    trainer.end()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


BROKEN_PIPE = """
import sys
sys.path.insert(0, sys.argv[1])
from velora.callbacks import PrintSummary, ProgressBar
from callbacks.stand_in import Trainer
trainer = Trainer(callbacks=[PrintSummary(), ProgressBar(seconds_per_line=1e-9)])
trainer.start()
trainer.play(*range(1000))
trainer.end()
print("trained to the end")
"""


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", BROKEN_PIPE, str(Path(__file__).parents[1])],
            stdout=subprocess.PIPE,
            stderr=writing,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert done.stdout == "trained to the end\n"


@pytest.mark.parametrize("setting", ["refresh_per_second", "seconds_per_line"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_settings(setting: str, value: float) -> None:
    with pytest.raises(SettingError, match=rf"progress_bar\.{setting}: expected a finite number > 0"):
        ProgressBar(**{setting: value})  # type: ignore[arg-type]


def test_a_budget_that_can_never_bind_is_not_shown() -> None:
    window = WindowStats(size=10, count=0, mean=0.0, std=0.0, max=0.0)

    def words(n_episodes: int, n_steps: int | None) -> str:
        snapshot = Snapshot(
            phase="training", episode=3, n_episodes=n_episodes, step=40, n_steps=n_steps, window=window, losses={},
            evaluation=None, steps_per_second=None, elapsed_s=1.0, left_s=None,
        )  # fmt: skip
        return " | ".join(describe(snapshot))

    assert words(100, None).startswith("episode 3/100 | step 40")
    assert words(100, 5_000).startswith("episode 3/100 | step 40/5,000")
    assert words(5_000, 5_000).startswith("episode 3 | step 40/5,000")
