"""Every interval and verdict in the prose of the benchmark pages is what the raw evaluations say."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning import arms, study_results
from benchmarks.learning.comparisons import Comparison, compare, interval
from benchmarks.learning.studies import STUDIES, Arm
from benchmarks.learning.study_results import Curves, Floats
from velora.analysis.statistics import bootstrap_interval
from velora.nn.parameters import count_parameters

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "benchmarks"
INTERVAL = re.compile(r"([+-]?\d+) \[([+-]?\d+), ([+-]?\d+)\]")

PENDULUM, POLE, UNSEEN = (
    "Pendulum, irregular time",
    "InvertedPendulum, irregular time",
    "InvertedPendulum, irregular time, actions unseen",
)
CFC, MIXED = "cfc, dt in the gate", "cfc, mixed memory, dt in the gate"
GRU, GRU_40, GRU_48 = "gru, dt as input", "gru, 40 neurons, dt as input", "gru, 48 neurons, dt as input"
GRU_D = "gru_d, dt in the gate"
POSITIONS, MEMORYLESS = "InvertedPendulum, positions", "LiquidTD3, memoryless"
DISTURBED, PEER = "Pendulum, disturbed after training", "SB3 TD3, 256x256"
WIRING = "Pendulum, positions, by wiring"

Told = tuple[str, str, str, str]
"""A study, an arm, the arm that it is compared with or nothing, a test or nothing."""
TOLD: dict[str, list[Told]] = {
    "index.md": [
        (POSITIONS, MEMORYLESS, "", ""),
        (POSITIONS, "LiquidTD3, cfc, mixed memory", "", ""),
        (POSITIONS, "LiquidTD3, cfc, mixed memory", MEMORYLESS, ""),
        (UNSEEN, "memoryless, dt as input", "", ""),
        ("Hopper, positions", "LiquidTD3, leaky", "", ""),
        (POSITIONS, "LiquidTD3, lstm", "", ""),
        (POSITIONS, "LiquidTD3, cfc", "", ""),
        ("Hopper, positions", "LiquidTD3, cfc, mixed memory", "LiquidTD3, gru", ""),
        ("CartPole, positions", "sb3-contrib RecurrentPPO, tuned", "", ""),
        ("CartPole, positions", "LiquidPPO, cfc", "", ""),
        (PENDULUM, CFC, GRU, ""),
        (PENDULUM, MIXED, GRU, ""),
        (PENDULUM, CFC, GRU_D, ""),
        (PENDULUM, MIXED, GRU_48, ""),
        (PENDULUM, CFC, GRU_40, ""),
        (PENDULUM, CFC, GRU_48, ""),
        (PENDULUM, CFC, "cfc, dt as input", ""),
        (PENDULUM, CFC, "cfc, no dt", ""),
        (PENDULUM, "gru, no dt", GRU, ""),
        (PENDULUM, MIXED, GRU, "1 step"),
        (PENDULUM, MIXED, GRU, "4 steps"),
        (POLE, MIXED, GRU, "1 step"),
        (POLE, MIXED, GRU, "2 steps"),
        (DISTURBED, "cfc, 10 neurons", PEER, "noise 0.4"),
        (DISTURBED, "cfc, 64 neurons", PEER, "noise 0.4"),
        (DISTURBED, "gru, 20 neurons", PEER, "noise 0.4"),
        (WIRING, "cfc, dense", "cfc, ncp", ""),
        (WIRING, "cfc, random", "cfc, ncp", ""),
        (DISTURBED, "cfc, 10 neurons", PEER, ""),
        (DISTURBED, "cfc, 20 neurons", PEER, ""),
        (DISTURBED, "cfc, 64 neurons", PEER, ""),
    ],
    "time.md": [
        (PENDULUM, CFC, "cfc, no dt", ""),
        (PENDULUM, "gru, no dt", GRU, ""),
        (PENDULUM, "gru, no dt", GRU, "1 step"),
        (PENDULUM, CFC, GRU, ""),
        (PENDULUM, MIXED, GRU, ""),
        (PENDULUM, CFC, GRU_40, ""),
        (PENDULUM, MIXED, GRU_40, ""),
        (PENDULUM, MIXED, GRU_48, ""),
        (PENDULUM, MIXED, GRU_48, "1 step"),
        (PENDULUM, CFC, GRU_48, ""),
        (PENDULUM, CFC, "cfc, dt as input", ""),
        (PENDULUM, "cfc, dt in both", CFC, ""),
        (PENDULUM, "ltc, dt in the gate", GRU, ""),
        (PENDULUM, GRU_D, GRU, ""),
        (PENDULUM, GRU_D, "gru, no dt", ""),
        (PENDULUM, CFC, GRU_D, ""),
        (PENDULUM, MIXED, GRU_D, ""),
        (POLE, CFC, "cfc, no dt", ""),
        (POLE, "gru, no dt", GRU, ""),
        (POLE, MIXED, GRU_48, ""),
        (POLE, CFC, GRU_48, ""),
        (UNSEEN, "memoryless, dt as input", "", ""),
        (UNSEEN, MIXED, GRU, ""),
        (UNSEEN, MIXED, GRU_48, ""),
        (UNSEEN, CFC, GRU, ""),
        (UNSEEN, CFC, GRU_48, ""),
    ],
    "memory.md": [
        (POSITIONS, "LiquidTD3, cfc, mixed memory", "LiquidTD3, cfc", ""),
        ("Pendulum, positions", "LiquidTD3, cfc, mixed memory", "LiquidTD3, cfc", ""),
        ("Hopper, positions", "LiquidTD3, cfc, mixed memory", "LiquidTD3, cfc", ""),
        ("CartPole, positions", "LiquidPPO, cfc, mixed memory", "LiquidPPO, cfc", ""),
        ("Hopper, positions", "LiquidTD3, cfc, privileged critic", "", ""),
        ("Hopper, positions", "LiquidTD3, cfc", "", ""),
        ("Hopper, positions", "LiquidTD3, cfc, mixed memory, privileged critic", "", ""),
        ("Hopper, positions", "LiquidTD3, cfc, mixed memory", "", ""),
        ("Hopper, positions", "LiquidTD3, gru, privileged critic", "", ""),
        ("Hopper, positions", "LiquidTD3, gru", "", ""),
        ("Hopper, positions", "LiquidTD3, leaky, privileged critic", "", ""),
        ("Hopper, positions", "LiquidTD3, leaky", "", ""),
    ],
    "disturbances.md": [],
    "fully-observed.md": [],
}
"""Where each interval in the prose of a page comes from, in the order of the page."""

ALONE: list[tuple[str, str, str, str]] = [
    ("(-1189)", "Pendulum, positions", MEMORYLESS, ""),
    ("(-176 to", "Pendulum, positions", "LiquidTD3, leaky", ""),
    ("to -212)", "Pendulum, positions", "LiquidTD3, gru", ""),
    ("CartPole: 111 without", "CartPole, positions", "LiquidPPO, memoryless", ""),
    ("284 to", "CartPole, positions", "LiquidPPO, gru", ""),
    ("to 497 with", "CartPole, positions", "LiquidPPO, cfc, mixed memory", ""),
    ("251 with a CfC", UNSEEN, CFC, ""),
    ("373 with mixed memory", UNSEEN, MIXED, ""),
    ("LTC, 493 and", "CartPole, positions", "LiquidPPO, cfc", ""),
    ("and 496 beside", "CartPole, positions", "LiquidPPO, ltc", ""),
    ("beside 284. Hopper", "CartPole, positions", "LiquidPPO, gru", ""),
    ("LTC, 181 and", "Hopper, positions", "LiquidTD3, cfc", ""),
    ("and 176 beside", "Hopper, positions", "LiquidTD3, ltc", ""),
    ("beside 411;", "Hopper, positions", "LiquidTD3, gru", ""),
    ("869 on InvertedPendulum", POSITIONS, "LiquidTD3, cfc, mixed memory", ""),
    ("-181 on Pendulum", "Pendulum, positions", "LiquidTD3, cfc, mixed memory", ""),
    ("205 on Hopper", "Hopper, positions", "LiquidTD3, cfc, mixed memory", ""),
    ("Pendulum -1223", "Pendulum, positions", "sb3-contrib RecurrentPPO", ""),
    ("InvertedPendulum 104", POSITIONS, "sb3-contrib RecurrentPPO", ""),
    ("Hopper 74", "Hopper, positions", "sb3-contrib RecurrentPPO", ""),
    ("mixed memory 93", UNSEEN, MIXED, "3 steps"),
    ("beside 19)", UNSEEN, GRU, "3 steps"),
    ("MLP earns -293", DISTURBED, PEER, "dropout 20%"),
    ("-960 (LTC)", DISTURBED, "ltc, 20 neurons", "dropout 20%"),
    ("-511 (dense CfC)", DISTURBED, "cfc, 20 neurons, dense", "dropout 20%"),
    ("random -690", DISTURBED, "cfc, 20 neurons, random", "dropout 20%"),
    ("NCP -834", DISTURBED, "cfc, 20 neurons", "dropout 20%"),
    ("earns -268", PENDULUM, "leaky, dt in both", ""),
    ("alone -416", PENDULUM, "leaky, dt in the gate", ""),
    ("alone -427", PENDULUM, "leaky, dt as input", ""),
]
"""Interquartile means that stand in the prose of index.md or time.md without an interval."""


@cache
def curves(study: str) -> dict[str, Curves]:
    return study_results.read_all(ROOT / "benchmarks" / "learning" / "results", STUDIES[study])


@cache
def comparisons() -> list[Comparison]:
    return compare([(study, curves(name)) for name, study in STUDIES.items()])


def scores(study: str, arm: str, test: str) -> Floats:
    one = curves(study)[arm]
    return one.tests[test] if test else one.final


def prose(page: str) -> str:
    return " ".join((PAGES / page).read_text().split())


@pytest.mark.parametrize("page", TOLD)
def test_intervals_in_the_prose_are_those_of_the_raw_evaluations(page: str) -> None:
    text = prose(page).partition("By mean instead of interquartile mean")[0]
    found = [tuple(map(int, numbers)) for numbers in INTERVAL.findall(text)]
    expected = []
    for study, arm, other, test in TOLD[page]:
        told = scores(study, arm, test) - (scores(study, other, test) if other else 0.0)
        expected.append(tuple(round(end) for end in interval(told)))
    assert found == expected


def test_means_in_the_prose_are_those_of_the_raw_evaluations() -> None:
    text = f"{prose('index.md')} {prose('time.md')}"
    for words, study, arm, test in ALONE:
        assert words in text
        (told,) = (int(number) for number in re.findall(r"-?\d+", words))
        assert told == round(interval(scores(study, arm, test))[0]), words


def test_every_page_with_prose_is_checked() -> None:
    others = {"good-for.md", "speed.md"}  # no intervals; tests/integration/test_docs_claims.py holds the former
    assert TOLD.keys() | others == {file.name for file in PAGES.glob("*.md") if not file.name.startswith("table")}


def test_the_verdicts_that_stand_are_the_two_that_the_page_names() -> None:
    standing = [(one.study, one.arm, one.verdict) for one in comparisons() if one.stands]
    assert standing == [(PENDULUM, MIXED, "win"), (PENDULUM, "memoryless, dt as input", "loss")]
    assert "With ten seeds two stand" in prose("index.md")


def test_no_verdict_of_five_seeds_can_stand_and_sign_flips_could_not_either() -> None:
    five = [one for one in comparisons() if len(one.gains) == 5]
    assert min(one.p_value for one in five) == pytest.approx(4 / 252)
    assert len(comparisons()) * 4 / 252 > 0.05
    assert "Five seeds can't give a p-value below 0.0158" in prose("index.md")
    assert len(comparisons()) * 2 / 2**10 > 0.05
    assert "ten pairs can't give less than 0.0019" in prose("index.md")


def test_agents_of_one_seed_are_pairs_in_name_only() -> None:
    correlations = []
    for one in comparisons():
        ranks = [np.argsort(np.argsort(curves(one.study)[arm].final)) for arm in (one.arm, one.other)]
        if all(np.ptp(curves(one.study)[arm].final) > 0 for arm in (one.arm, one.other)):
            correlations.append(np.asarray(np.corrcoef(ranks))[0, 1])
    assert f"rank correlation of {np.mean(correlations):.2f} over" in prose("index.md")


def test_seeds_ahead_and_wins_are_counted() -> None:
    ahead = {(one.study, one.arm): (one.gains > 0.0).sum() for one in comparisons()}
    assert (ahead[PENDULUM, CFC], ahead[PENDULUM, MIXED]) == (8, 10)
    beyond_gru_d = [(scores(PENDULUM, arm, "") > scores(PENDULUM, GRU_D, "")).sum() for arm in (CFC, MIXED)]
    assert beyond_gru_d == [8, 10]
    assert "ahead of it, on 8 of 10 seeds, and with mixed memory 125 [80, 240], on all ten" in prose("time.md")
    of_gru_d = [one.verdict for one in comparisons() if one.arm == GRU_D]
    assert of_gru_d == ["tie"] * 3
    text = " ".join((ROOT / "README.md").read_text().split())
    assert "**10 of 10** seeds ahead of a GRU that is given the time, on Pendulum with irregular time steps, " in text
    assert "for a CfC with mixed memory ([row](docs/benchmarks/time.md))" in text
    agents = [one.verdict for one in comparisons() if STUDIES[one.study].table == "1"]
    assert (agents.count("win"), agents.count("loss")) == (5, 0)
    assert "Yes: ties and five wins, no loss" in prose("index.md")
    never = [arm for arm, one in curves(PENDULUM).items() if one.final.min() < -1200.0]
    assert never == ["leaky, dt in both", GRU, "memoryless, dt as input"]
    assert f"learning curves of {len(curves(PENDULUM))} policies" in prose("index.md")


def test_the_mean_that_differs_in_verdict_is_told() -> None:
    one = next(one for one in comparisons() if (one.study, one.arm) == ("Pendulum", "LiquidDDPG"))
    low, high = bootstrap_interval(one.gains, n_resamples=50_000)
    assert f"would be a loss, {one.gains.mean():.0f} [{low:.0f}, {high:.0f}] before" in prose("index.md")
    assert one.verdict == "tie"


def test_active_parameters_are_those_told() -> None:
    study = STUDIES[PENDULUM]
    counts = {CFC: "1,716", MIXED: "4,716", GRU: "1,333", GRU_D: "1,362", GRU_40: "3,473", GRU_48: "4,861"}
    for name, told in counts.items():
        assert f"{active(PENDULUM, next(arm for arm in study.arms if arm.name == name)):,}" == told
        assert told in prose("time.md")
    cells = {arm.name: arm for arm in STUDIES[POSITIONS].arms}
    mixed, plain = (active(POSITIONS, cells[f"LiquidTD3, {cell}"]) for cell in ("cfc, mixed memory", "cfc"))
    assert f"{mixed / plain:.1f} times as many active parameters" in prose("memory.md")


def active(study: str, arm: Arm) -> int:
    agent = arms.build(STUDIES[study], arm, (0,))
    return count_parameters(agent.networks["actor"], 0).active
