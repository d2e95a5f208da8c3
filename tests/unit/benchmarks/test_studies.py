"""The studies of learning train what they say, and their tables say what the raw evaluations do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.learning import arms, pages, study_results
from benchmarks.learning.arms import Trained
from benchmarks.learning.comparisons import compare, interval
from benchmarks.learning.studies import STUDIES, Arm, Study, shortened
from benchmarks.learning.watch import Watch
from velora.analysis.statistics import interquartile_mean, stratified_bootstrap
from velora.checkpoint.registry import agents
from velora.nn.cells import CELLS

ROOT = Path(__file__).parents[3]
TOY = Study("9", "Toy task", "Pendulum-v1", 20, 10, (Arm("one", agent="liquid_ddpg"), Arm("two")), solved=-5.0)


def test_an_interval_holds_the_interquartile_mean() -> None:
    middle, low, high = interval(np.array([0.0, 1.0, 2.0, 3.0, 100.0]))
    # Of five seeds the lowest and the highest are left out.
    assert middle == pytest.approx((1 + 2 + 3) / 3)
    assert low < middle < high
    scores = np.random.default_rng(3).normal(size=7)
    expected = stratified_bootstrap(
        [np.sort(scores)], lambda strata: interquartile_mean(strata[0], axis=1), n_resamples=50_000
    )
    assert interval(scores)[1:] == pytest.approx(tuple(map(float, expected)))
    assert interval(np.full(5, 7.0)) == pytest.approx((7.0, 7.0, 7.0))


def test_raw_evaluations_are_written_read_and_told(tmp_path: Path) -> None:
    points = [(seed, step, -4.0 if (seed, step) == (1, 20) else -10.0 - seed) for seed in (1, 0) for step in (10, 20)]
    study_results.write(Trained(points, [], 3.2), study_results.path(tmp_path, TOY, TOY.arms[0]))
    pages.publish(tmp_path, [TOY], tmp_path / "pages")
    text = (tmp_path / "pages" / "table9.md").read_text()
    assert "## Toy task" in text
    assert "| one | 2 | -9 [-10, -8] | -7 [-10, -4] | 1 of 2 |" in text
    assert "two" not in text
    assert "(images/toy-task.png)" in text
    assert (tmp_path / "pages" / "images" / "toy-task.png").stat().st_size > 5_000
    curves = study_results.read_all(tmp_path, TOY)["one"]
    assert curves.seeds == (0, 1)
    assert curves.returns.tolist() == [[-10.0, -10.0], [-11.0, -4.0]]


def test_what_arms_do_after_training_is_compared_seed_by_seed(tmp_path: Path) -> None:
    study = replace(TOY, reference="two")
    for arm, gain in zip(study.arms, (3.0, 0.0), strict=True):
        points = [(seed, 10, -10.0 - seed + gain) for seed in (0, 1)]
        tests = [(seed, "noise", -20.0 - seed + gain * (1 if seed else -1)) for seed in (0, 1)]
        study_results.write(Trained(points, tests, 1.0), study_results.path(tmp_path, study, arm))
    text = pages.publish(tmp_path, [study], tmp_path / "pages")
    # Of the evaluations each seed gains 3; in the test one gains and one loses 3.
    # Of three ways to halve the four scores only the one observed sets the halves as far apart.
    assert "| one | **+3 [+3, +3]** | 0.3333 | 2 of 2 | +0 [-3, +3] |" in text
    assert "| two | -20 [-21, -20] |" in text
    assert "| two | **" not in text


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.some(7)
def test_every_arm_of_ours_builds_and_fits_its_environment(name: str) -> None:
    study = STUDIES[name]
    assert len(study.seeds) >= 5
    for arm in study.arms:
        if arm.agent is None:
            continue
        agent = arms.build(study, arm, study.seeds[:1])
        agent.adapt(arms.environment(study))
        assert type(agent) is agents.get(arm.agent)


@pytest.mark.parametrize("name", ["CartPole, positions", "CartPole", "InvertedPendulum", "Hopper, positions"])
@pytest.mark.some(2)
def test_a_shortened_study_shows_one_arm_of_each_kind_and_ours_learns(name: str) -> None:
    study = shortened(STUDIES[name], 600)
    assert [arm.agent is None for arm in study.arms].count(True) == 1
    (ours,) = (arm for arm in study.arms if arm.agent is not None)
    agent = arms.build(study, ours, study.seeds[:1])
    watch = Watch(name, every=300, n_steps=600)
    make = partial(arms.environment, study)
    agent.train(make, ours.batch_size, n_steps=600, callbacks=[watch], progress_bar=False, summary=False)
    assert agent.progress[0].update > 0
    assert [step for _, step, _ in watch.points] == [300, 600]  # also where eight environments step at once


def test_a_short_arm_is_evaluated_on_its_grid_tested_and_kept(tmp_path: Path) -> None:
    study = replace(STUDIES["Pendulum, irregular time"], n_steps=20, evaluate_steps=10, seeds=(3, 4))
    study = replace(study, tests=study.tests[3:4])
    trained = arms.train(study, study.arms[0], tmp_path / "kept")
    assert [(seed, step) for seed, step, _ in trained.points] == [(3, 10), (4, 10), (3, 20), (4, 20)]
    assert [(seed, name) for seed, name, _ in trained.tests] == [(3, "4 steps"), (4, "4 steps")]
    (kept,) = (tmp_path / "kept").glob("ep*")
    assert agents.get("liquid_td3").load(kept).seeds[0] in (3, 4)


def test_the_first_component_holds_the_variance_of_the_widest_direction() -> None:
    # Of two independent directions with deviations 3 and 1, the first has 9 of 10 parts of the variance.
    wide, narrow = torch.tensor([3.0, -3.0, 3.0, -3.0]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    states = 5.0 + torch.stack((wide + narrow, wide - narrow), 1).unsqueeze(0)
    assert arms.first_component(states) == pytest.approx([90.0])
    study = replace(STUDIES["Pendulum, disturbed after training"], seeds=(3, 4))
    agent = arms.build(study, study.arms[0], study.seeds)
    assert arms.recurrent_states(agent, study).shape == (2, 200 * arms.TEST_EPISODES, agent.state_size)


def test_a_verdict_is_a_win_or_a_loss_only_where_the_interval_excludes_zero(tmp_path: Path) -> None:
    peers = tuple(Arm(f"SB3 {name}", algorithm=name) for name in ("DDPG", "TD3", "SAC", "PPO"))
    ours = tuple(Arm(f"Liquid{name}", agent=f"liquid_{name.lower()}") for name in ("SAC", "TD3", "DDPG"))
    study = replace(TOY, table="1", arms=peers + ours, solved=None)
    gains = {
        "LiquidSAC": (1.0, 2.0, 2.0, 3.0),
        "LiquidTD3": (-1.0, -1.0, -1.0, -1.0),
        "LiquidDDPG": (-9.0, 9.0, 1.0, 1.0),
    }
    for arm in study.arms:
        points = [(seed, 10, float(seed) + gains.get(arm.name, (0.0,) * 4)[seed]) for seed in range(4)]
        study_results.write(Trained(points, [], 1.0), study_results.path(tmp_path, study, arm))
    pages.publish(tmp_path, [study], tmp_path)
    text = (tmp_path / "table-agents.md").read_text()
    assert "| task | SAC | TD3 | DDPG |" in text
    assert "| Toy task | **win** +2 [+1, +3] | **loss** -1 [-1, -1] | tie +1 [-9, +9] |" in text
    assert "After Holm's correction over all 3 comparisons of these pages, none of these 3 verdicts stands." in text


def test_a_verdict_that_stands_after_the_correction_for_many_is_marked(tmp_path: Path) -> None:
    settings = ({"cell": "gru"}, {"cell": "cfc"}, {"cell": "ltc"})
    arms = tuple(Arm(cell["cell"], agent="liquid_td3", settings=cell) for cell in settings)
    study = replace(TOY, table="2", arms=arms, solved=None, reference="gru", seeds=tuple(range(8)))
    gains = {"cfc": 20.0, "ltc": -1.0}
    for arm in study.arms:
        points = [(seed, 10, float(seed) + gains.get(arm.name, 0.0)) for seed in study.seeds]
        study_results.write(Trained(points, [], 1.0), study_results.path(tmp_path, study, arm))
    found = [(study, study_results.read_all(tmp_path, study))]
    far, near = compare(found)
    # Of 12,870 ways to deal 16 scores out, 12 set the middle fours as far apart: as observed, with one or both of the
    # two highest of the low arm exchanged for one or both of the two lowest of the high arm, and all that mirrored.
    assert far.p_value == pytest.approx(2 * (1 + 4 + 1) / 12_870)
    assert far.adjusted == pytest.approx(2 * far.p_value)
    assert (far.verdict, far.stands) == ("win", True)
    assert (near.verdict, near.stands) == ("loss", False)
    text = pages.texts(found)
    assert "| Toy task | **win** † +20 [+20, +20] | **loss** -1 [-1, -1] |" in text["table-cells.md"]
    assert "comparisons of these pages, 1 of these 2 verdicts stands (†)." in text["table-cells.md"]
    assert "| cfc | **+20 [+20, +20]** | 0.0009 † | 8 of 8 |" in text["table2.md"]


def test_cells_are_judged_as_they_are_told_the_time_by_default() -> None:
    """The page compares every cell with a GRU once on each task, never two arms of one cell."""
    for study in STUDIES.values():
        if study.table in ("2", "3"):
            columns = [column for arm in study.arms if (column := pages.column(arm))]
            assert CELLS.keys() <= set(columns)
            (reference,) = (arm for arm in study.arms if arm.name == study.reference)
            assert pages.column(reference) == "gru"
            assert {column: columns.count(column) for column in columns if columns.count(column) > 1}.keys() <= {"gru"}


def test_the_committed_pages_are_those_of_the_raw_evaluations() -> None:
    results, docs = ROOT / "benchmarks" / "learning" / "results", ROOT / "docs" / "benchmarks"
    found = [(study, curves) for study in STUDIES.values() if (curves := study_results.read_all(results, study))]
    expected = pages.texts(found)
    assert {file.name for file in docs.glob("table*.md")} == expected.keys()
    for name, text in expected.items():
        assert (docs / name).read_text() == text
    assert {file.stem for file in (docs / "images").iterdir()} == {study.slug for study, _ in found}
