"""What is made of a study's trials: which are best, the file to train with, and what is said on the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import hydra
import pytest

from velora.cli.command.arguments import Arguments
from velora.cli.command.compose import composing
from velora.cli.tune import best, measure, report, request
from velora.cli.tune.options import Options
from velora.cli.tune.outcome import Outcome, Trial, _front, _importances
from velora.cli.tune.request import Request

optuna: Any = pytest.importorskip("optuna", reason="pip install -e '.[tune]'")


def trial(number: int, *values: float, **params: Any) -> Trial:
    cost = {"parameters": values[1]} if len(values) > 1 else {}
    return Trial(number, "complete", values, params, [values[0] - 1, values[0] + 1], {}, cost, "", False, 2.0)


def asked(*words: str) -> Request:
    return request.completed(request.understand(Arguments.parse(words))[0])


def outcome(home: Path, wanted: Request, *found: Trial) -> Outcome:
    return Outcome(home, "study", wanted, len(found), found, sorted(found, key=lambda t: -t.values[0]), {})


def test_no_other_trial_is_better_in_everything_than_those_on_the_front() -> None:
    found = [trial(0, -100.0, 50.0), trial(1, -90.0, 80.0), trial(2, -95.0, 90.0), trial(3, -100.0, 50.0)]
    assert [one.number for one in _front(found)] == [0, 1, 3]
    assert [one.number for one in _front([trial(4, 1.0), trial(5, 2.0)])] == [4, 5]
    assert _front([]) == []


@pytest.mark.parametrize(
    "words",
    [
        ("env=pendulum", "agent=liquid_td3,liquid_sac", "agent.n_neurons=int(interval(5,9))"),
        ("experiment=memory", "agent.critic_units=[64,64],[32,32]", "+env.kwargs.g=9.5,10"),
        ("env/mask=none,velocity", "train.n_steps=500", "agent.image=null,false", "+callbacks.mine.a=true"),
    ],
)
@pytest.mark.some(1)
def test_the_file_of_the_best_settings_composes_to_them(tmp_path: Path, words: tuple[str, ...]) -> None:
    wanted = asked(*words)
    params = {name: getattr(dimension, "values", (7,))[-1] for name, dimension in wanted.space.items()}
    typed = best.save(outcome(tmp_path, wanted, trial(0, -1.0, **params)), Path("shown here"))
    assert typed == ["--config-dir='shown here'", "experiment=best"]
    with composing():
        direct = hydra.compose("train", [word for word in wanted.words_of(params) if word != "train.seed=0"])
        again = hydra.compose("train", [f"hydra.searchpath=[file://{tmp_path}]", "experiment=best"])
    assert again == direct


def test_settings_from_a_directory_of_ones_own_are_typed_again(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine.yaml").write_text("id: Pendulum-v1\n")
    wanted = asked("--config-dir", str(tmp_path), "env=mine", "agent.n_neurons=5,6", "train.n_steps=500")
    typed = best.save(outcome(tmp_path, wanted, trial(0, -1.0, **{"agent.n_neurons": "6"})), tmp_path)
    assert typed == [f"--config-dir={tmp_path}", "env=mine", "train.n_steps=500", "agent.n_neurons=6"]
    assert best.base_words(wanted) == [f"--config-dir={tmp_path}", "env=mine", "train.n_steps=500"]
    assert not (tmp_path / best.FILE).exists()


def test_fresh_seeds_come_after_those_of_the_study() -> None:
    assert best.fresh_seeds(asked("agent.n_neurons=5,6", "train.seeds=[3,8]")) == ["train.seed=9", "train.seeds=10"]


def test_the_table_lists_the_best_with_what_was_asked_about(tmp_path: Path) -> None:
    wanted = asked("agent.tau=interval(0.1,0.2)", "train.seeds=2", "max_parameters=90")
    found = (trial(3, -120.0, 50.0, **{"agent.tau": 0.123456}), trial(11, -95.5, 80.0, **{"agent.tau": 0.15}))
    lines = list(report.lines(outcome(tmp_path, wanted, *found), Path("study")))
    assert lines == [
        "study     study",
        "ended     2 of 2 trials: 2 complete",
        "return    mean over 2 seeds of the last evaluation, maximised",
        "",
        "trial  return  ± seeds  parameters  agent.tau",
        "   11   -95.5      1.0          80       0.15",
        "    3  -120.0      1.0          50     0.1235",
    ]


def frozen(number: int, state: str, began_s: float, took_s: float | None, value: float | None = None) -> Any:
    start = datetime.now() - timedelta(seconds=began_s)
    made = optuna.trial.create_trial(state=optuna.trial.TrialState[state], value=value)
    made.number, made.datetime_start = number, start
    made.datetime_complete = None if took_s is None else start + timedelta(seconds=took_s)
    return made


def test_the_time_left_is_that_of_typical_trials() -> None:
    from velora.cli.tune.progress import line_of, seconds_left

    ended = [frozen(n, "COMPLETE", 100.0, took, value=-1.5) for n, took in enumerate((10.0, 20.0, 90.0))]
    assert seconds_left(ended, 7, 2) == pytest.approx(4 * 20 / 2)
    assert seconds_left([*ended, frozen(3, "RUNNING", 10.0, None)], 7, 2) == pytest.approx(3.5 * 20 / 2, abs=0.5)
    assert seconds_left(ended, 3, 2) is None
    assert seconds_left([], 3, 2) is None
    assert line_of(ended[1], 200) == "trial   1  -1.5  "


def test_seeds_are_summarised_at_each_round_of_evaluation() -> None:
    found = {0: {1: -10.0, 2: -4.0}, 1: {1: -20.0}, 2: {1: -30.0, 2: -8.0}}
    assert measure.latest_round(found, [0, 1, 2]) == 1
    assert measure.latest_round(found, [0, 2]) == 2  # seed 1 was stopped
    assert measure.latest_round(found, [0, 3]) == 0  # seed 3 has not come to one
    assert measure.at_round(found, 1, Options()) == -20.0
    assert measure.at_round(found, 2, Options()) == pytest.approx((-4 - 20 - 8) / 3)
    assert measure.at_round(found, 2, Options(statistic="min")) == -20.0
    assert Options(statistic="iqm").summarise([1.0, 2.0, 3.0, 100.0]) == 2.5
    assert Options(statistic="median").summarise([1.0, 2.0, 30.0]) == 2.0


def test_what_mattered_is_said_from_ten_trials_on() -> None:
    study = optuna.create_study(direction="maximize")
    for n in range(10):
        made = {
            "size": optuna.distributions.IntDistribution(0, 9),
            "rate": optuna.distributions.FloatDistribution(0, 1),
        }
        params = {"size": n, "rate": 0.1 * (n % 3)}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=made, value=float(n)))
    found = [trial(n, float(n)) for n in range(10)]
    assert _importances(study, found[:9]) == {}
    assert sum(_importances(study, found).values()) == pytest.approx(1.0)


def test_the_page_lists_the_words_that_were_given(tmp_path: Path) -> None:
    wanted = asked("agent.tau=interval(0.1,0.2)", "train.n_steps=500")
    rows = dict(report._space(outcome(tmp_path, wanted)))
    assert rows["train.n_steps"] == "500"
    assert "train.n_episodes" not in rows
