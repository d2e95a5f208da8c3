from __future__ import annotations

import logging
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from velora.analysis.curves import make_band, moving_mean, plot_runs, tick
from velora.analysis.runs import SeedCurve, load_curves
from velora.core.errors import RunDirectoryError, SettingError, VeloraError
from velora.core.types import Episode, Evaluation
from velora.metrics import MovingWindow, RunStore


def write_run(
    run_dir: Path,
    seeds: Sequence[int] = (0,),
    *,
    agent: str = "liquid_ddpg",
    returns: Sequence[float] = (-3.0, -2.0, 0.0),
    told: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """Make a run; ``settings`` are the agent's, the command line also records those in ``told``."""
    with RunStore(run_dir / "metrics.db") as store:
        store.start_run(run_id=run_dir.name, agent=agent, environment="Pendulum-v1", seeds=seeds, settings=settings)
        if told is not None:
            store.describe(told)
        for seed in seeds:
            for number, value in enumerate(returns, start=1):
                episode = Episode(0, number, reset_seed=0, reward=value, length=200, truncated=True)
                stats = MovingWindow(3).stats()
                store.add_episode(episode, seed=seed, step=200 * number, update=0, window=stats)
            if returns:
                store.add_evaluation(Evaluation(0, 400, 2, (-1.0, -3.0)), seed=seed)
    return run_dir


def told(**more: Any) -> dict[str, Any]:
    """Return settings of a run from the command line; ``__`` in a name stands for a dot."""
    own = {name.replace("__", "."): value for name, value in more.items()}
    return {"train.batch_size": 128, "callbacks": "none", **own}


def sizes(path: Path) -> dict[str, int]:
    """Return how many seeds each curve below a directory has."""
    return {label.removeprefix("liquid_ddpg on "): len(curves) for label, curves in load_curves([path]).items()}


def curve(steps: Sequence[float], returns: Sequence[float]) -> SeedCurve:
    nothing = np.empty(0)
    return SeedCurve(np.array(steps, float), np.array(returns, float), nothing, nothing)


def test_moving_mean_does_not_average_over_what_is_not_there() -> None:
    np.testing.assert_allclose(moving_mean(np.array([4.0, 0.0, 2.0, 6.0]), 3), [4.0, 2.0, 2.0, 8.0 / 3])
    np.testing.assert_allclose(moving_mean(np.array([4.0]), 10), [4.0])


def test_a_band_covers_the_steps_that_all_seeds_have() -> None:
    band = make_band([curve([0, 100], [0, 100]), curve([50, 200], [10, 10])], window=1)
    assert (band.steps[0], band.steps[-1]) == (50.0, 100.0)
    assert (band.mean[0], band.low[0], band.high[0]) == (30.0, 10.0, 50.0)
    assert (band.mean[-1], band.low[-1], band.high[-1]) == (55.0, 10.0, 100.0)
    assert band.kind == "min to max"


def test_the_band_says_what_it_is() -> None:
    seeds = [curve([0, 1], [k, k]) for k in range(3)]
    assert make_band(seeds[:1], window=1).kind == ""
    assert make_band(seeds[:2], window=1).kind == "min to max"
    band = make_band(seeds, window=1)
    assert band.kind == "95 % bootstrap interval"
    assert np.all((band.low >= 0) & (band.low < 1) & (band.high > 1) & (band.high <= 2))


def test_seeds_without_common_steps_are_refused() -> None:
    with pytest.raises(SettingError, match="ends at 10 and one that begins at 20"):
        make_band([curve([0, 10], [1, 1]), curve([20, 30], [1, 1])], window=1)


def test_runs_of_the_same_agent_are_seeds_of_one_curve(tmp_path: Path) -> None:
    write_run(tmp_path / "sweep" / "0", (0,))
    write_run(tmp_path / "sweep" / "1", (1,))
    write_run(tmp_path / "other", (0, 1, 2), agent="gru")
    groups = load_curves([tmp_path / "sweep", tmp_path / "other" / "metrics.db"])
    assert {label: len(curves) for label, curves in groups.items()} == {
        "liquid_ddpg on Pendulum-v1": 2,
        "gru on Pendulum-v1": 3,
    }
    first = groups["liquid_ddpg on Pendulum-v1"][0]
    np.testing.assert_array_equal(first.steps, [200, 400, 600])
    np.testing.assert_array_equal(first.returns, [-3.0, -2.0, 0.0])
    np.testing.assert_array_equal(first.evaluation_means, [-2.0])


def test_runs_with_different_settings_are_different_curves(tmp_path: Path) -> None:
    for neurons in (20, 40):
        for seed in (0, 1, 2):
            write_run(tmp_path / f"{neurons}-{seed}", (seed,), n_neurons=neurons, critic_units=[64, 64])
    write_run(tmp_path / "gru", (0,), agent="gru", n_neurons=7)
    assert sizes(tmp_path) == {
        "Pendulum-v1, agent.n_neurons=20": 3,
        "Pendulum-v1, agent.n_neurons=40": 3,
        "gru on Pendulum-v1": 1,
    }
    write_run(tmp_path / "wide", (3,), n_neurons=20, critic_units=[256])
    assert sizes(tmp_path)["Pendulum-v1, agent.critic_units=[64, 64], agent.n_neurons=20"] == 3
    assert sizes(tmp_path)["Pendulum-v1, agent.critic_units=[256], agent.n_neurons=20"] == 1


def test_settings_of_the_environment_tell_runs_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "a", (0,), told=told())
    write_run(tmp_path / "b", (1,), told=told())
    write_run(tmp_path / "python", (2,))
    assert sizes(tmp_path) == {"Pendulum-v1": 3}
    write_run(tmp_path / "heavy", told=told(env__kwargs__g=9.0))
    assert sizes(tmp_path) == {
        "Pendulum-v1, env.kwargs.g=default": 2,
        "Pendulum-v1, env.kwargs.g=9.0": 1,
        "Pendulum-v1": 1,
    }


def test_batch_size_and_callbacks_tell_runs_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "a", told=told(train__batch_size=64))
    write_run(tmp_path / "b", told=told(callbacks="stop", callbacks__stop__target=1))
    write_run(tmp_path / "c", told=told(callbacks="stop", callbacks__stop__target=2))
    assert list(sizes(tmp_path)) == [
        "Pendulum-v1, callbacks=none, train.batch_size=64",
        "Pendulum-v1, callbacks=stop, callbacks.stop.target=1, train.batch_size=128",
        "Pendulum-v1, callbacks=stop, callbacks.stop.target=2, train.batch_size=128",
    ]


def test_returns_that_are_not_finite_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "run", returns=(1.0, math.nan, 3.0))
    (curves,) = load_curves([tmp_path]).values()
    np.testing.assert_array_equal(curves[0].returns, [1.0, 3.0])
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "1 episodes of seed 0" in caplog.text


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_made(tmp_path: Path, seeds: tuple[int, ...], suffix: str) -> None:
    write_run(tmp_path / "run", seeds)
    out = plot_runs([tmp_path / "run"], tmp_path / "new" / f"curve{suffix}", window=2, title="Pendulum", dpi=50)
    assert out.read_bytes().lstrip()[:5] in (b"\x89PNG\r", b"<?xml")


def test_the_legend_says_what_the_band_is(tmp_path: Path) -> None:
    write_run(tmp_path / "run", (0, 1, 2))
    text = plot_runs([tmp_path / "run"], tmp_path / "curve.svg").read_text()
    for label in ("95 % bootstrap interval", "mean of 3 seeds", "evaluation", "environment steps per seed"):
        assert label in text


def test_curves_beyond_the_colours_differ_in_their_lines(tmp_path: Path) -> None:
    for k in range(8):
        write_run(tmp_path / str(k), n_neurons=k)
    text = plot_runs([tmp_path], tmp_path / "curve.svg").read_text()
    assert re.search(r"stroke-dasharray: [^;]*; stroke-dashoffset: 0; stroke: #0072b2; stroke-width: 2\.2", text)
    assert text.count("<!-- evaluation -->") == 1


def test_both_axes_have_separators_between_thousands(tmp_path: Path) -> None:
    write_run(tmp_path / "run", returns=[-1500.0] * 10)
    text = plot_runs([tmp_path / "run"], tmp_path / "curve.svg", window=1).read_text()
    assert "<!-- \N{MINUS SIGN}1,400 -->" in text
    assert "<!-- 2,000 -->" in text


def test_ticks() -> None:
    assert [tick(value) for value in (0.0, -0.0, -5.5e-17, 0.1 + 0.2, -1234.5, 2e6)] == [
        "0", "0", "0", "0.3", "\N{MINUS SIGN}1,234.5", "2,000,000",
    ]  # fmt: skip


def test_looking_leaves_no_file_in_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    plot_runs([run], tmp_path / "curve.png", dpi=50)
    assert [path.name for path in run.iterdir()] == ["metrics.db"]


def test_one_episode_is_enough(tmp_path: Path) -> None:
    write_run(tmp_path / "run", (0, 1), returns=(0.0,))
    assert plot_runs([tmp_path / "run"], tmp_path / "curve.png", dpi=50).stat().st_size > 0


def test_a_run_that_is_still_going_on_can_be_drawn(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with RunStore(tmp_path / "run" / "metrics.db") as store:
        store.start_run(run_id="run", agent="liquid_ddpg", environment="Pendulum-v1", seeds=(0,))
        assert plot_runs([tmp_path / "run"], tmp_path / "curve.png", dpi=50).exists()


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"expected a run directory with metrics\.db, found none"):
        plot_runs([tmp_path], tmp_path / "curve.png")
    write_run(tmp_path / "run", returns=())
    with pytest.raises(RunDirectoryError, match="expected finished episodes, found none"):
        plot_runs([tmp_path], tmp_path / "curve.png")


def test_bad_settings(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with pytest.raises(SettingError, match="window: expected a whole number >= 1, got 0"):
        plot_runs([tmp_path], tmp_path / "curve.png", window=0)
    with pytest.raises(VeloraError, match="can't be written"):
        plot_runs([tmp_path], tmp_path / "curve.doc")
    with pytest.raises(VeloraError, match="can't be written"):
        plot_runs([tmp_path], tmp_path / "run" / "metrics.db" / "curve.png")


def test_matplotlib_is_imported_late_and_its_absence_explained(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    program = (
        "import sys; from velora.analysis.curves import plot_runs; assert 'matplotlib' not in sys.modules;"
        "sys.modules['matplotlib'] = None; plot_runs([sys.argv[1]], 'curve.png')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert "matplotlib isn't installed; install it, or the extra plot" in done.stderr
    assert "velora[" not in done.stderr
    assert not (tmp_path / "curve.png").exists()
