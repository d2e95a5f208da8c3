from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from velora.cli.tune import space
from velora.cli.tune.space import Choice, Interval
from velora.core.errors import SettingError


def parse(*words: str) -> dict[str, space.Dimension]:
    parser = OverridesParser.create()
    return space.parse([parser.parse_override(word) for word in words])


def only(value: str) -> space.Dimension:
    (dimension,) = parse(f"x={value}").values()
    return dimension


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("interval(1,3)", Interval(1.0, 3.0)),
        ("int(interval(4,16))", Interval(4, 16)),
        ("tag(log,interval(1e-5,1e-2))", Interval(1e-5, 1e-2, is_log=True)),
        ("tag(log,int(interval(8,64)))", Interval(8, 64, is_log=True)),
        ("range(10,50,10)", Interval(10, 40, 10)),
        ("range(50,10,-10)", Interval(20, 50, 10)),
        ("range(10)", Interval(0, 9, 1)),
        ("range(0,1,step=0.25)", Interval(0.0, 0.75, 0.25)),
        ("range(0,1,step=0.1)", Interval(0.0, 0.9, 0.1)),
        ("tag(log,range(1,9))", Interval(1, 8, is_log=True)),
        ("choice(cfc,gru)", Choice(("cfc", "gru"))),
        ("cfc,gru", Choice(("cfc", "gru"))),
        ("[64,64],[128,128]", Choice(("[64,64]", "[128,128]"))),
        ("{a:1},{b:2}", Choice(("{a:1}", "{b:2}"))),
        ("true,null,0.5", Choice(("True", "null", "0.5"))),
        ("choice('a b',\"c,d\")", Choice(("a\\ b", "c\\,d"))),
    ],
)
def test_hydras_words_are_dimensions_that_can_be_written_again(value: str, expected: space.Dimension) -> None:
    found = only(value)
    assert found == expected
    again = only(str(found))
    assert again == found or again.distribution() == found.distribution()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("interval(3,1)", "the lower end first"),
        ("interval(2,2)", "the lower end first"),
        ("interval(-inf,1)", "finite ends"),
        ("tag(log,interval(0,1))", "a lower end above 0, got 0"),
        ("tag(exp,interval(1,2))", "expected the tag log, got exp"),
        ("tag(log,choice(1,2))", "choices have no order"),
        ("tag(log,range(1,9,2))", "no step"),
        ("range(3,3)", "at least two values, got 0"),
        ("range(3,4)", "at least two values, got 1"),
        ("range(1,9,0)", "a step that isn't 0"),
        ("choice(1,1)", "each choice once, got 1"),
        ("glob(*)", "can't be searched"),
    ],
)
def test_a_bad_space_is_one_line_that_names_the_setting(value: str, expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(f"x={value}")
    assert str(caught.value).startswith(f"x: {value}")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_settings_with_several_values_are_searched() -> None:
    assert list(parse("a=1", "b=1,2", "+c=interval(0,1)", "d=[1,2]")) == ["b", "+c"]
    with pytest.raises(SettingError, match="b: its values are given twice"):
        parse("b=1,2", "b=3,4")


def test_a_trial_is_written_as_a_command_line_has_it() -> None:
    searched = parse(
        "lr=tag(log,interval(1e-5,1))", "n=int(interval(1,9))", "units=[64,64],[32,32]", "+env.kwargs.g=1,2"
    )
    params = {"lr": 1.5e-5, "n": 3, "units": "[32,32]", "+env.kwargs.g": "2"}
    words = list(space.words(searched, params))
    assert words == ["lr=1.5e-05", "n=3", "units=[32,32]", "+env.kwargs.g=2"]
    values = [OverridesParser.create().parse_override(word).value() for word in words]
    assert values == [1.5e-5, 3, [32, 32], 2]


def test_the_distributions_are_those_that_the_words_say() -> None:
    pytest.importorskip("optuna", reason="pip install -e '.[tune]'")
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    assert only("interval(1,3)").distribution() == FloatDistribution(1.0, 3.0)
    assert only("tag(log,int(interval(8,64)))").distribution() == IntDistribution(8, 64, log=True)
    assert only("range(10,50,10)").distribution() == IntDistribution(10, 40, step=10)
    assert only("range(0,1,step=0.1)").distribution() == FloatDistribution(0.0, 0.9, step=0.1)
    assert only("a,null").distribution() == CategoricalDistribution(("a", "null"))
