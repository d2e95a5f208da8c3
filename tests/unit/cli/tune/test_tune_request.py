from __future__ import annotations

import pytest

from velora.cli.command.arguments import Arguments
from velora.cli.tune import request
from velora.cli.tune.command import tune
from velora.cli.tune.options import Given
from velora.cli.tune.request import Request
from velora.core.errors import SettingError

SEARCHED = "agent.n_neurons=10,20"


def understood(*words: str) -> tuple[Request, Given]:
    return request.understand(Arguments.parse(words))


def test_words_are_sorted_into_settings_space_and_options() -> None:
    asked, given = understood(SEARCHED, "env=pendulum", "trials=7", "sampler=gp", "max_ms_per_action=0.5")
    assert asked.words == ("env=pendulum",)
    assert list(asked.space) == ["agent.n_neurons"]
    assert (given.effort.trials, given.effort.workers) == (7, None)
    assert (asked.options.sampler, asked.options.limits) == ("gp", {"ms_per_action": 0.5})
    assert given.named == {"trials", "sampler", "max_ms_per_action"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trials=0"], "trials: expected a whole number of at least 1, got 0"),
        (["trials=1,2"], "trials: expected trials=<one value>, got trials=1,2"),
        (["trials=true"], "trials: expected a whole number"),
        (["max_ms_per_action=0"], "max_ms_per_action: expected a number above 0, got 0"),
        (["sampler=tpee"], "sampler: expected one of tpe, gp, random, got tpee"),
        (["triasl=3"], "triasl: no such option; did you mean trials?"),
        (["minimise=size"], "minimise: expected parameters, ms_per_action"),
        (["minimise=parameters", "pruner=median"], "pruner: median judges by the return alone"),
        (["train.seed=1,2"], "train.seed: seeds aren't searched"),
        ([SEARCHED, "agent.n_neurons=3"], "agent.n_neurons: is given one value and several"),
        (["~callbacks"], "velora tune takes no deletions"),
        (["hydra.run.dir=x"], "no settings of Hydra's; trials lie in study="),
        (["--cfg", "job"], "--cfg: velora tune takes no option but"),
        (["-m"], "-m: velora tune takes no option but"),
    ],
)
def test_a_slip_is_one_line(words: list[str], expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        understood(*words)
    assert str(caught.value).startswith(expected) or expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_has_one_budget_and_seeds() -> None:
    asked = request.completed(understood(SEARCHED, "train.n_steps=500")[0])
    assert asked.words == ("train.n_steps=500", "train.n_episodes=${train.n_steps}", "train.seed=0")
    assert request.completed(understood(SEARCHED, "train.seeds=3")[0]).words == ("train.seeds=3",)
    with pytest.raises(SettingError, match="expected a setting to search"):
        request.completed(understood("env=pendulum")[0])


def test_the_ends_of_every_dimension_are_composed() -> None:
    asked = request.completed(understood(SEARCHED, "agent.tau=interval(0.1,0.2)", "env=pendulum,cartpole")[0])
    found = [(cfg.agent.n_neurons, cfg.agent.tau, cfg.env.id) for cfg in asked.samples()]
    assert found == [
        (10, 0.1, "Pendulum-v1"),
        (20, 0.1, "Pendulum-v1"),
        (10, 0.1, "Pendulum-v1"),
        (10, 0.2, "Pendulum-v1"),
        (10, 0.1, "Pendulum-v1"),
        (10, 0.1, "CartPole-v1"),
    ]
    assert asked.seeds() == (0,)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (
            "agent.n_neurons=interval(3,9)",
            "agent.n_neurons: expected a whole number, got '3.0'; write int(interval(3,9))",
        ),
        ("agent.n_neuron=3,9", "agent.n_neuron: no such setting; did you mean agent.n_neurons?"),
        ("env=pendulm,cartpole", "env=pendulm: no such choice; did you mean pendulum?"),
    ],
)
def test_a_space_that_cannot_be_composed_is_one_line(word: str, expected: str) -> None:
    asked = request.completed(understood(word)[0])
    with pytest.raises(SettingError) as caught:
        list(asked.samples())
    assert str(caught.value) == expected


def test_a_request_survives_its_study() -> None:
    words = [SEARCHED, "agent.tau=tag(log,interval(0.01,0.1))", "+env.kwargs.g=9.0", "minimise=ms_per_action"]
    asked = request.completed(understood(*words, "pruner=none", "max_parameters=500")[0])
    assert request.restored(request.saved(asked)) == asked


@pytest.mark.parametrize(
    ("words", "is_whole", "expected"),
    [
        ([SEARCHED, "env=pendulum", "trials=9"], True, None),
        (["env=pendulum"], False, None),
        ([], False, None),
        (["sampler=tpe"], False, None),
        (["env=hopper"], False, "env: pendulum in the study, hopper here"),
        (["agent.n_neurons=10,40"], False, "agent.n_neurons: 10,20 in the study, 10,40 here"),
        (["agent.gamma=0.9"], False, "agent.gamma: not set in the study, 0.9 here"),
        (["env=pendulum"], True, "agent.n_neurons: 10,20 in the study, not set here"),
        (["sampler=gp"], False, "sampler: tpe in the study, gp here"),
        (["max_parameters=9"], False, "max_parameters: None in the study, 9 here"),
    ],
)
def test_a_change_is_named(words: list[str], is_whole: bool, expected: str | None) -> None:
    before = understood(SEARCHED, "env=pendulum")[0]
    assert request.difference(before, *understood(*words), is_whole=is_whole) == expected


@pytest.mark.parametrize("out", ["study/journal.log", "table.csv", "page"])
def test_a_study_is_shown_on_a_page_and_over_no_other_file(out: str) -> None:
    pytest.importorskip("optuna")
    with pytest.raises(SettingError, match=rf"out: expected a page that ends in .html, got {out}"):
        tune(["show=study", f"out={out}"])
