"""The benchmark of speed counts rightly, promises what it measures, and goes on where it was stopped."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from benchmarks.speed import arithmetic, campaign, pendulum, plots, report, results, scale
from benchmarks.speed.jobs import Job, JobFailedError, run
from benchmarks.speed.ours import make_agent, step_mflop
from benchmarks.speed.plan import INVERTED, PENDULUM, Plan, case, core
from benchmarks.speed.results import Result
from benchmarks.speed.rows import RECOMMENDED, ROWS, SB3
from benchmarks.speed.targets import TARGETS, Target, judge, ratio, spread
from velora.nn.parameters import count_parameters

ROOT = Path(__file__).parents[3]
HEAD = {"row": 1, "date": "2026-11-24", "machine": "one", "command": "c", "commit": "a", "versions": {"ours": {}}}
TARGET = Target(1, "us against them", "we, {kernel}", "work", "they", "work", "steps_per_s", 10, 2)


def _result(**rates: list[float | None]) -> Result:
    """Make a result of one case; ``they`` is a peer, the others are our kernels."""
    measurements: list[dict[str, Any]] = []
    for who, values in rates.items():
        kernel = None if who == "they" else who
        name = "they" if kernel is None else f"we, {kernel}"
        same = {"contender": name, "case": "work", "kernel": kernel}
        measurements += [{"round": i, **same, "steps_per_s": v, "solved_s": v} for i, v in enumerate(values)]
    return Result(HEAD, measurements)


@pytest.mark.parametrize(
    ("ours", "peer", "metric", "expected"),
    [
        (300.0, 100.0, "steps_per_s", 3.0),
        (2.0, 8.0, "both_ms", 4.0),
        (400.0, 300.0, "peak_mb", 0.75),
        (math.inf, 30.0, "solved_s", 0.0),
        (math.inf, math.inf, "solved_s", 0.0),
        (10.0, math.inf, "solved_s", math.inf),
    ],
)
def test_a_ratio_says_how_many_times_better_ours_is(ours: float, peer: float, metric: str, expected: float) -> None:
    assert ratio(ours, peer, metric) == expected


def test_a_promise_is_judged_by_medians_and_for_the_best_kernel_without_a_compiler() -> None:
    result = _result(native=[50.0, 100.0, 90.0], torch=[10.0, 12.0, 11.0], numpy=[30.0, 31.0, 20.0], they=[10.0] * 3)
    native, other = judge(TARGET, result, ["native", "torch", "numpy"])
    assert (native.ratio, native.text) == (9.0, "short by 10 %")
    assert (other.ratio, other.kernel, other.text) == (3.0, "numpy", "reached")
    assert spread([50.0, 100.0], [10.0, 10.0, 10.0], "steps_per_s") == (5.0, 10.0)


def test_where_nothing_is_promised_without_a_compiler_nothing_is_judged() -> None:
    target = Target(8, "us against them", "we, {kernel}", "work", "they", "work", "steps_per_s", 10, None)
    native, other = judge(target, _result(native=[200.0], numpy=[30.0], they=[10.0]), ["native", "numpy"])
    assert (native.text, other.ratio, other.text) == ("reached", 3.0, "")


def test_what_was_not_measured_is_not_judged() -> None:
    native, other = judge(TARGET, _result(native=[1.0]), ["native"])
    assert (native.ratio, native.text, other.text) == (None, "not measured", "not measured")


def test_unsolved_counts_as_never_and_lowers_the_share() -> None:
    result = _result(native=[10.0, None, 12.0, 11.0], they=[None, None, 30.0, 40.0])
    assert result.median("they", "work", "solved_s") == math.inf
    share = Target(2, "share", "we, {kernel}", "work", None, "", "solved_s", 1, 1)
    assert judge(share, result, ["native"])[0].ratio == 0.75


def test_every_promise_is_about_something_that_is_measured() -> None:
    plan = Plan(("native", "torch"))
    measured = {n: {(j.contender, j.case) for j in row.jobs(plan, 0)} for n, row in ROWS.items()}
    for target in TARGETS:
        assert all((target.ours.format(kernel=k), target.case) in measured[target.row] for k in plan.kernels)
        assert target.peer is None or (target.peer, target.peer_case) in measured[target.row]
    assert {t.row for t in TARGETS} == set(ROWS) - {4, 7}
    assert len(TARGETS) == len(set(TARGETS)) == 31


@pytest.mark.parametrize("is_quick", [False, True])
def test_no_two_jobs_of_a_round_have_the_same_name(is_quick: bool) -> None:
    for row in ROWS.values():
        names = [(job.contender, job.case) for job in row.jobs(Plan(quick=is_quick), 0)]
        assert len(names) == len(set(names)) > 1


def test_solving_uses_the_settings_that_a_user_gets() -> None:
    train = OmegaConf.load(ROOT / "conf" / "train" / "default.yaml")
    env = OmegaConf.load(ROOT / "conf" / "env" / "inverted_pendulum.yaml")
    agent = {"actor_lr": env.recommended.actor_lr, "noise_final_std": 0.02}
    assert {"batch_size": train.batch_size, "agent": agent} == RECOMMENDED
    assert env.id == INVERTED


def test_a_stopped_run_goes_on_and_a_failure_is_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Job] = []

    def measure(job: Job) -> dict[str, Any]:
        asked.append(job)
        if len(asked) == 4:
            raise KeyboardInterrupt
        if job.contender == SB3:
            raise JobFailedError("/a/python: no such thing as /b/c/d.txt")
        return {"save_ms": 2.0 / 3, "versions": {"torch": "1"}}

    todo: dict[str, Any] = {"rounds": 2, "command": "c", "folder": tmp_path, "scratch": tmp_path, "measure": measure}
    with pytest.raises(KeyboardInterrupt):
        campaign.run([ROWS[6]], Plan(), **todo)
    assert not results.path(tmp_path, 6).exists()
    campaign.run([ROWS[6]], Plan(), **todo)
    assert len(asked) == 1 + 2 * 4
    result = results.read(results.path(tmp_path, 6))
    assert result.values("native", "n = 20", "save_ms") == [0.66667, 0.66667]
    assert result.values(SB3, "n = 20", "save_ms") == []
    assert report.failures(result) == ["- SB3, n = 20: python: no such thing as d.txt"]
    assert "goes on after 3 measurements" in capsys.readouterr().out
    campaign.run([ROWS[6]], Plan(), **todo)  # a finished row is measured anew
    assert len(asked) == 1 + 4 * 4


def test_rows_are_written_and_read_back(tmp_path: Path) -> None:
    result = _result(native=[1.5, None])
    results.write(result, tmp_path / "row1.json")
    assert results.read_all(tmp_path, [1, 2]) == {1: result}


def test_tables_have_cases_down_and_contenders_across() -> None:
    table = report.medians(_result(native=[1234.5, 1200.0], they=[3.14159, None]), "steps_per_s")
    assert table.splitlines()[2:] == ["| work | 1,217 | never |"]
    assert [report.number(v) for v in (0.0123, 99.94, 100.4, None)] == ["0.0123", "99.9", "100", "-"]
    document = report.document({1: _result(native=[1.0], they=[2.0])})
    assert document.startswith("# Speed beside the peers")
    assert f"1a: peak memory, against {SB3}" in document


def test_how_alone_a_process_was_is_said() -> None:
    head: dict[str, Any] = {"contender": "they", "case": "work", "kernel": None, "round": 0}
    shares = [
        {**head, "cores_had": 1.0, "threads": 1},
        {**head, "cores_had": 1.0, "threads": 2},
        {**head, "threads": 1},
    ]
    assert report.company(Result(HEAD, shares)) == " Share of its cores that a process had: median 0.75, least 0.50."
    assert report.company(Result(HEAD, shares[2:])) == ""


def test_the_limit_is_arithmetic_at_the_best_speed_measured() -> None:
    head: dict[str, Any] = {"contender": "native", "kernel": "native", "round": 0}
    one = {**head, "case": "S = 1", "update_mflop": 8.0, "peak_gflops": 50.0}
    two = {**head, "case": "S = 2", "update_mflop": 16.0, "peak_gflops": 80.0}
    result = Result({}, [one, two])
    assert scale.limits(result) == {"S = 1": 0.1, "S = 2": 0.2}
    assert scale.points(result, "S") == {1: "S = 1", 2: "S = 2"}
    assert scale.points(result, "T") == {}


def test_the_passes_of_an_update_are_counted() -> None:
    assert arithmetic.passes("DDPG") == (4, 6)
    assert arithmetic.passes("TD3", policy_delay=2) == (2.5, 9)
    assert arithmetic.passes("SAC") == (4, 12)
    assert arithmetic.dense_weights([3, 64, 64, 1]) == 4 * 64 + 65 * 64 + 65
    assert arithmetic.mflop("DDPG", actor=10, critic=100, samples=128) == 2 * 128 * (4 * 10 + 6 * 100) / 1e6
    work = arithmetic.dense_mflop("SAC", obs_dim=3, action_dim=1, units=(64, 64), batch_size=128)
    assert work == 2 * 128 * (4 * (4 * 64 + 65 * 64 + 65 * 2) + 12 * (5 * 64 + 65 * 64 + 65)) / 1e6


def test_every_critic_of_ours_is_counted() -> None:
    agent = make_agent({"env": PENDULUM, "n": 20, "kernel": "auto", "algorithm": "TD3"})
    actor = count_parameters(agent.networks["actor"]).active
    critic = arithmetic.dense_weights([4, 64, 64, 1])
    assert step_mflop(agent, 128) == 2 * 128 * (2.5 * actor + 9 * critic) / 1e6


def test_a_rate_is_drawn_beside_the_limit_of_all_its_cores() -> None:
    fastest = {"contender": arithmetic.CORE, "case": "products", "kernel": None, "round": 0, "threads": 1}
    ours = {"contender": "native", "case": "work", "kernel": "native", "round": 0, "threads": 2}
    measured: list[dict[str, Any]] = [
        {**fastest, "peak_gflops": 80.0},
        {**fastest, "peak_gflops": 100.0},
        {**ours, "steps_per_s": 5_000.0, "step_mflop": 10.0, "total_s": 4.0, "run_mflop": 200_000.0},
    ]
    result = Result(HEAD, measured)
    assert scale.limit(result, "native", "work", "steps_per_s") == 20_000.0
    assert scale.limit(result, "native", "work", "total_s") == 1.0
    assert scale.limit(result, "native", "work", "peak_mb") is None
    assert scale.limit(Result(HEAD, measured[2:]), "native", "work", "steps_per_s") is None
    table = report.beside_the_limit(result, "steps_per_s")
    assert table is not None
    assert table.splitlines()[-1] == "| native | work | 10 | 20,000 | 5,000 | 25 % |"
    assert report.beside_the_limit(result, "peak_mb") is None


def test_rows_with_arithmetic_measure_the_core() -> None:
    for row in ROWS.values():
        first = next(iter(row.jobs(Plan(), 0)))
        assert (first == core(Plan())) == (row.number in (1, 3, 4, 5, 8, 10))


def test_the_seeds_of_each_round_are_others() -> None:
    for row in (ROWS[9], ROWS[10]):
        seeds = [{str(job.settings["agent"]) for job in row.jobs(Plan(("native",)), k) if job.kernel} for k in range(2)]
        assert not seeds[0] & seeds[1]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), [("seeds", "total_s"), ("learn", "solved_s")])
def test_two_seeds_side_by_side_are_measured(task: str, metric: str) -> None:
    jobs = [job for job in ROWS[10].jobs(Plan(("auto",), quick=True), 0) if job.kernel and job.settings["task"] == task]
    settings = {**jobs[0].settings, "n_steps": 1_200, "n": 3, "agent": {"seeds": [0, 1], "warmup_steps": 1_100}}
    answer = run(Job("we", "work", pendulum.OUR_PENDULUM, {**settings, "target": -1e9, "n_needed": 2}, 2))
    assert answer[metric] > 0.0
    assert answer["threads"] == 2
    if task == "seeds":
        assert answer["run_mflop"] > 0.0
    else:
        assert answer["steps"] == 1_000


def test_a_process_without_an_answer_is_a_failure_that_says_why() -> None:
    with pytest.raises(JobFailedError, match=r"No module named benchmarks\.nothing"):
        run(Job("we", "work", "benchmarks.nothing", {}))


def test_rows_are_drawn(tmp_path: Path) -> None:
    measurements = [{**m, "case": case(INVERTED, 20)} for m in _result(native=[2.0], they=[1.0]).measurements]
    plots.bars(Result(HEAD, measurements), tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 5_000


def test_the_committed_tables_are_what_the_rows_say() -> None:
    folder = ROOT / "benchmarks" / "speed" / "results"
    found = results.read_all(folder, list(ROWS))
    assert list(found) == list(ROWS)
    assert (folder / "table.md").read_text() == report.document(found)
