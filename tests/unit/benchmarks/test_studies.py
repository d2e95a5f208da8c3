"""The studies of learning train what they say, and their tables say what the raw evaluations do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.learning import arms, study_results
from benchmarks.learning.arms import Trained
from benchmarks.learning.studies import STUDIES, Arm, Study, shortened
from benchmarks.learning.watch import Watch
from velora.analysis.statistics import interquartile_mean, stratified_bootstrap
from velora.checkpoint.registry import agents

ROOT = Path(__file__).parents[3]
TOY = Study("9", "Toy task", "Pendulum-v1", 20, 10, (Arm("one", agent="liquid_ddpg"), Arm("two")), solved=-5.0)


def test_an_interval_holds_the_interquartile_mean() -> None:
    middle, low, high = study_results.interval(np.array([0.0, 1.0, 2.0, 3.0, 100.0]))
    # A quarter of five seeds is 1.25: of the middle three, the outer two count three quarters each.
    assert middle == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)
    assert low < middle < high
    scores = np.random.default_rng(3).normal(size=7)
    expected = stratified_bootstrap([scores], lambda strata: interquartile_mean(strata[0], axis=0))
    assert study_results.interval(scores)[1:] == tuple(map(float, expected))
    assert study_results.interval(np.full(5, 7.0)) == pytest.approx((7.0, 7.0, 7.0))


def test_raw_evaluations_are_written_read_and_told(tmp_path: Path) -> None:
    points = [(seed, step, -4.0 if (seed, step) == (1, 20) else -10.0 - seed) for seed in (1, 0) for step in (10, 20)]
    study_results.write(Trained(points, [], 3.2), study_results.path(tmp_path, TOY, TOY.arms[0]))
    text = study_results.publish(tmp_path, [TOY])
    assert "### Toy task" in text
    assert "| one | 2 | -9 [-10, -8] | -7 [-10, -4] | 1 of 2 |" in text
    assert "two" not in text
    assert (tmp_path / "table9.md").read_text() == text + "\n"
    assert (tmp_path / "table9.png").stat().st_size > 5_000
    curves = study_results.read_all(tmp_path, TOY)["one"]
    assert curves.seeds == (0, 1)
    assert curves.returns.tolist() == [[-10.0, -10.0], [-11.0, -4.0]]


def test_what_arms_do_after_training_is_compared_seed_by_seed(tmp_path: Path) -> None:
    study = replace(TOY, reference="two")
    for arm, gain in zip(study.arms, (3.0, 0.0), strict=True):
        points = [(seed, 10, -10.0 - seed + gain) for seed in (0, 1)]
        tests = [(seed, "noise", -20.0 - seed + gain * (1 if seed else -1)) for seed in (0, 1)]
        study_results.write(Trained(points, tests, 1.0), study_results.path(tmp_path, study, arm))
    text = study_results.publish(tmp_path, [study])
    # Of the evaluations each seed gains 3; in the test one gains and one loses 3.
    assert "| one | **+3 [+3, +3]** | 2 of 2 | +0 [-3, +3] |" in text
    assert "| two | -20 [-21, -20] |" in text
    assert "| two | **" not in text


@pytest.mark.parametrize("name", STUDIES)
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


def test_the_committed_tables_are_those_of_the_raw_evaluations(tmp_path: Path) -> None:
    results = ROOT / "benchmarks" / "learning" / "results"
    for table in sorted({study.table for study in STUDIES.values()}):
        found = [(s, study_results.read_all(results, s)) for s in STUDIES.values() if s.table == table]
        sections = [study_results.section(study, curves) for study, curves in found if curves]
        if sections:
            assert (results / f"table{table}.md").read_text() == "\n\n".join(sections) + "\n"
