"""What is compared: the numbers of every seed, what they reached, and what a reader has to know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.analysis.comparison_runs import make_sweep
from tests.unit.analysis.run_directories import make_run
from velora.analysis import Comparison, compare
from velora.analysis.comparison.remarks import remarks
from velora.analysis.comparison.report import picture
from velora.analysis.comparison.table import averages, pairs, results
from velora.core.errors import RunDirectoryError, SettingError


def only(path: Path, **choices: Any) -> Any:
    (cell,) = compare(path, **choices).cells.values()
    return cell


# ------------------------------------------------------------------------------------------------------------- values


def test_final_is_the_mean_of_the_last_episodes_and_best_the_largest_such_mean(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 90.0, 0.0, 6.0, 9.0, 3.0)
    cell = only(tmp_path, window=2)
    assert cell.final == pytest.approx([6.0])  # of 9 and 3
    assert cell.best == pytest.approx([45.0])  # of 90 and 0; the first episode alone isn't a window
    assert only(tmp_path, window=1).best == pytest.approx([90.0])
    assert only(tmp_path, window=50).best == only(tmp_path, window=50).final == pytest.approx([21.6])


def test_a_prompt_shows_a_line_for_each_curve(tmp_path: Path) -> None:
    for size, final in ((10, -1500.0), (20, -300.25)):
        make_run(tmp_path / str(size), -2000.0, final, settings={"n_neurons": size}, seeds=(1, 2))
    assert repr(compare(tmp_path, window=1)).splitlines() == [
        "return over steps, 2 runs; interquartile means over seeds",
        "curve         panel        seeds     final  best so far",
        "n_neurons=10  Pendulum-v1      2  -1,500.0     -1,500.0",
        "n_neurons=20  Pendulum-v1      2    -300.2       -300.2",
    ]


def test_what_curves_are_drawn_over(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, 3.0, evaluations={2: 7.0})
    np.testing.assert_array_equal(only(tmp_path).series[0].x, [200, 400, 600])
    np.testing.assert_array_equal(only(tmp_path, x="episodes").series[0].x, [1, 2, 3])
    (series,) = only(tmp_path, x="seconds").series
    lasted = [row["seconds"] for row in series.run.episodes()]
    np.testing.assert_allclose(series.x, np.cumsum(lasted))
    (series,) = only(tmp_path, x="seconds", metric="evaluation").series
    np.testing.assert_allclose(series.x, [sum(lasted[:2])])
    with pytest.raises(SettingError, match="x: expected one of steps, episodes, seconds, got 'time'"):
        compare(tmp_path, x="time")


def test_evaluations_losses_and_what_callbacks_logged(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, evaluations={1: 5.0, 2: 3.0}, logged={"reward/effort": 0.25})
    cell = only(tmp_path, metric="evaluation")
    assert (cell.final.tolist(), cell.best.tolist()) == ([3.0], [5.0])  # each evaluation is a mean already
    assert only(tmp_path, metric="actor/loss").series[0].values.tolist() == [1.0, 2.0]
    assert only(tmp_path, metric="reward/effort").series[0].values.tolist() == [0.25]
    assert only(tmp_path, metric="reward/effort").series[0].x.tolist() == [400.0]


def test_the_only_evaluation_of_each_seed_is_a_point(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=(0, 1, 2), evaluations={2: 7.0})
    axes = picture(compare(tmp_path, metric="evaluation")).axes[0]
    (interval, point) = axes.lines
    assert (point.get_xydata().tolist(), point.get_marker()) == ([[400.0, 7.0]], "o")
    assert interval.get_ydata().tolist() == [7.0, 7.0]


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, math.nan, 3.0)
    assert only(tmp_path).series[0].values.tolist() == [1.0, 3.0]
    assert "1 values of return were NaN or infinite and are left out." in remarks(compare(tmp_path))


def test_runs_without_the_metric_are_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, settings={"n_neurons": 20})
    make_run(tmp_path / "b", 1.0, settings={"n_neurons": 40}, logged={"effort": 2.0})
    found = compare(tmp_path, metric="effort", by="n_neurons")
    assert found.curves == ("n_neurons=40",)
    assert "effort is recorded by 1 of 2 runs; the others are left out." in remarks(found)


# ----------------------------------------------------------------------------------------------------- bad questions


def test_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected runs in or below it, found none"):
        compare(tmp_path)
    make_run(tmp_path / "a")
    with pytest.raises(RunDirectoryError, match="expected finished episodes, found none; train first"):
        compare(tmp_path)
    make_run(tmp_path / "b", 1.0)
    with pytest.raises(RunDirectoryError, match="expected rounds of evaluation, found none"):
        compare(tmp_path, metric="evaluation")
    with pytest.raises(RunDirectoryError, match=r"where: no run below .* has env=hopper"):
        compare(tmp_path, where="env=hopper")


def test_a_metric_that_nobody_recorded(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, logged={"effort": 2.0})
    with pytest.raises(SettingError, match=r"metric: nobody recorded 'efort'; did you mean effort\?"):
        compare(tmp_path, metric="efort")
    there = "there is return, length, seconds, evaluation, actor/loss, effort"
    with pytest.raises(SettingError, match=f"metric: nobody recorded 'xyz'; {there}"):
        compare(tmp_path, metric="xyz")


def test_bad_windows(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0)
    for window in (0, -1, True, 2.5):
        with pytest.raises(SettingError, match="window: expected a whole number >= 1"):
            compare(tmp_path, window=window)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ numbers


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Make two agents on two environments, two values and three seeds each."""
    return compare(make_sweep(tmp_path_factory.mktemp("sweep")), by="agent")


def test_what_was_reached(sweep: Comparison) -> None:
    rows = {(row["environment"], row["curve"]): row for row in results(sweep)}
    assert len(rows) == 4
    # Six seeds end at 0, 3, 10, 13, 20, 23 above the end; the middle half is 3 to 20.
    row = rows["Pendulum-v1", "liquid_td3"]
    assert (row["seeds"], row["final"]) == (6, pytest.approx(-160.0 + (3 + 10 + 13 + 20) / 4))
    assert row["final_low"] < row["final"] < row["final_high"]
    assert row["best"] == pytest.approx(row["final"])
    assert row["normalised"] == pytest.approx((row["final"] + 1207.6) / (1207.6 - 152))
    assert row["steps"] == 6000


def test_averages_are_over_all_environments_and_normalised(sweep: Comparison) -> None:
    panels, estimate = averages(sweep)["liquid_td3"]
    assert panels == ["InvertedPendulum-v5", "Pendulum-v1"]
    ends = np.array([0.0, 3.0, 10.0, 13.0, 20.0, 23.0])
    scores = np.sort([*(440 + ends - 5.2) / (1000 - 5.2), *(-160 + ends + 1207.6) / (1207.6 - 152)])
    assert estimate.value == pytest.approx(scores[3:9].mean())


def test_who_is_better(sweep: Comparison) -> None:
    (pair,) = pairs(sweep)
    assert (pair.first, pair.second, pair.n_panels) == ("liquid_td3", "liquid_ddpg", 2)
    assert [float(one) for one in (pair.estimate.value, pair.estimate.low, pair.estimate.high)] == [1.0, 1.0, 1.0]


def test_many_curves_are_compared_with_the_best_alone(tmp_path: Path) -> None:
    for k in range(6):
        for seed in (0, 1):
            make_run(tmp_path / f"{k}-{seed}", float(k), settings={"n_neurons": k + 1}, seeds=(seed,))
    found = compare(tmp_path)
    assert found.ranked[0] == "n_neurons=6"
    assert [(pair.first, pair.second) for pair in pairs(found)] == [
        ("n_neurons=6", f"n_neurons={k}") for k in (5, 4, 3, 2, 1)
    ]


def test_the_best_eight_curves_are_drawn(tmp_path: Path) -> None:
    for k in range(10):
        make_run(tmp_path / str(k), -abs(k - 4.2), settings={"n_neurons": k})
    found = compare(tmp_path)
    assert found.shown == tuple(f"n_neurons={k}" for k in range(1, 9))
    assert set(found.left_out) == {"n_neurons=0", "n_neurons=9"}
    assert len(results(found)) == 10
    assert any(
        line.startswith("8 of 10 curves are drawn, the best ones; the table has all.") for line in remarks(found)
    )


def test_a_loss_has_no_best_value_and_no_winner(tmp_path: Path) -> None:
    make_sweep(tmp_path, environments=("Pendulum-v1",), n_seeds=2)
    found = compare(tmp_path, by="agent", metric="actor/loss")
    assert pairs(found) == []
    assert averages(found) == {}
    assert "best" not in results(found).columns()


# ------------------------------------------------------------------------------------------------------------ remarks


@pytest.mark.parametrize(
    ("n_seeds", "said"),
    [
        (1, "liquid_ddpg has one seed: no interval exists, and the next seed may end elsewhere."),
        (2, "liquid_ddpg has two seeds: what stands for an interval is their range."),
        (3, "liquid_ddpg has 3 seeds: a 95 % interval of so few is too narrow"),
    ],
)
def test_few_seeds_are_said_plainly(tmp_path: Path, n_seeds: int, said: str) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=tuple(range(n_seeds)))
    (line,) = remarks(compare(tmp_path))
    assert line.startswith(said)
    (row,) = results(compare(tmp_path))
    assert math.isnan(row["final_low"]) is (n_seeds == 1)


def test_five_seeds_need_no_remark(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=tuple(range(5)))
    assert remarks(compare(tmp_path)) == []


def test_pooled_settings_are_named(sweep: Comparison) -> None:
    (line,) = remarks(sweep)
    assert line.startswith(
        "Each curve pools runs with different settings as if they were seeds (agent.actor_lr: 0.0003, 0.001)"
    )


def test_a_run_and_its_copy_are_no_seeds_of_their_own(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=(0, 1, 2))
    make_run(tmp_path / "b", 1.0, 2.0, seeds=(2, 3, 4))
    first, *_ = remarks(compare(tmp_path))
    assert first == (
        "liquid_ddpg counts seed 2 more than once, from runs that differ in nothing "
        f"({tmp_path / 'a'}, {tmp_path / 'b'}), so that intervals are too narrow; name one of the runs alone."
    )


def test_the_same_seed_under_other_settings_is_no_repetition(tmp_path: Path) -> None:
    for size in (10, 20):
        make_run(tmp_path / str(size), 1.0, 2.0, settings={"n_neurons": size}, seeds=(0, 1, 2))
    assert not any("more than once" in line for line in remarks(compare(tmp_path, by="agent")))


def test_runs_that_have_not_finished_are_counted(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=tuple(range(5)))
    make_run(tmp_path / "b", 1.0, seeds=(7,), status="crashed")
    assert remarks(compare(tmp_path)) == [
        "1 of 2 runs has not finished: 1 failed.",
        "liquid_ddpg: seeds end at different steps; a curve ends where the first of its seeds does.",
    ]


def test_runs_that_cannot_be_read_and_jobs_that_wait_are_missed(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, seeds=range(5))
    make_run(tmp_path / "b", 1.0, seeds=range(5, 10))
    (tmp_path / "b" / "metrics.db").write_text("nonsense")
    (tmp_path / "sweep.json").write_text('{"words": [], "options": [], "jobs": [{"name": "c", "words": []}]}')
    assert remarks(compare(tmp_path)) == [
        f"Left out, since no metrics of theirs can be read: {tmp_path / 'b'}; velora runs says why.",
        "1 run has not begun.",
    ]


def test_curves_of_other_budgets_are_said_to_be(tmp_path: Path) -> None:
    make_run(tmp_path / "a", 1.0, 2.0, seeds=range(5), n_episodes=2)
    make_run(tmp_path / "b", 1.0, seeds=range(5), settings={"n_neurons": 10}, n_episodes=200, n_steps=200)
    (line,) = remarks(compare(tmp_path))
    assert line.startswith("Runs had different budgets (2 episodes, 200 steps), so that what was reached in the end")


def test_environments_without_known_scores_are_not_averaged(tmp_path: Path) -> None:
    make_sweep(tmp_path, environments=("Mine-v0", "Pendulum-v1"))
    found = compare(tmp_path, by="agent")
    assert averages(found) == {}
    assert len(pairs(found)) == 1  # which needs no scale
    assert any("no random and reference return of Mine-v0 is known" in line for line in remarks(found))
    given = compare(tmp_path, by="agent", normalise={"Mine-v0": (0.0, 500.0), "Pendulum-v1": (-1200.0, -150.0)})
    assert set(averages(given)) == {"liquid_ddpg", "liquid_td3"}
