"""Which runs are seeds of one curve, and which share a panel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.analysis.run_directories import COMMAND_LINE, make_run
from velora.analysis import compare, find_runs
from velora.analysis.comparison.grouping import find_places, resolve
from velora.core.errors import SettingError


def run(directory: Path, *, settings: dict[str, Any] | None = None, **more: Any) -> None:
    make_run(directory, 1.0, settings=settings or {"n_neurons": 20}, **more)


def told(**more: Any) -> dict[str, Any]:
    """Return settings of a run from the command line; ``__`` in a name stands for a dot."""
    return {**COMMAND_LINE, **{name.replace("__", "."): value for name, value in more.items()}}


def cells(path: Path, *by: str) -> dict[tuple[str, str], int]:
    """Return how many runs each curve has in each panel."""
    runs = find_runs(path)
    places = find_places(runs, resolve(by, runs) if by else None)
    return dict(Counter((place.curve, place.panel) for place in places))


def test_runs_that_differ_in_nothing_but_their_seed_are_one_curve(tmp_path: Path) -> None:
    run(tmp_path / "sweep" / "0", seeds=(0,))
    run(tmp_path / "sweep" / "1", seeds=(1,))
    run(tmp_path / "other", seeds=(0, 1, 2), agent="gru")
    assert cells(tmp_path) == {("liquid_ddpg", "Pendulum-v1"): 2, ("gru", "Pendulum-v1"): 1}
    assert {name: cell.n_seeds for (name, _), cell in compare(tmp_path).cells.items()} == {"gru": 3, "liquid_ddpg": 2}


def test_a_single_agent_goes_without_saying(tmp_path: Path) -> None:
    for neurons in (20, 40):
        run(tmp_path / str(neurons), settings={"n_neurons": neurons, "critic_units": [64, 64]})
    assert cells(tmp_path) == {("n_neurons=20", "Pendulum-v1"): 1, ("n_neurons=40", "Pendulum-v1"): 1}
    run(tmp_path / "wide", settings={"n_neurons": 20, "critic_units": [256]})
    assert set(cells(tmp_path)) == {
        ("critic_units=[64, 64], n_neurons=20", "Pendulum-v1"),
        ("critic_units=[64, 64], n_neurons=40", "Pendulum-v1"),
        ("critic_units=[256], n_neurons=20", "Pendulum-v1"),
    }


def test_a_setting_that_one_agent_alone_varies_names_its_curves_alone(tmp_path: Path) -> None:
    run(tmp_path / "a", settings={"n_neurons": 20})
    run(tmp_path / "b", settings={"n_neurons": 40})
    run(tmp_path / "gru", agent="gru", settings={"n_neurons": 7})
    assert {name for name, _ in cells(tmp_path)} == {"liquid_ddpg, n_neurons=20", "liquid_ddpg, n_neurons=40", "gru"}


def test_names_are_shortened_unless_two_would_be_the_same(tmp_path: Path) -> None:
    run(tmp_path / "a", settings={"size": 1}, run_settings=told(callbacks__stop__size=1))
    run(tmp_path / "b", settings={"size": 2}, run_settings=told(callbacks__stop__size=2))
    assert {name for name, _ in cells(tmp_path)} == {
        "agent.size=1, callbacks.stop.size=1",
        "agent.size=2, callbacks.stop.size=2",
    }
    with pytest.raises(SettingError, match=r"size may be agent\.size or callbacks\.stop\.size"):
        cells(tmp_path, "size")


def test_numbers_have_the_digits_that_keep_them_apart(tmp_path: Path) -> None:
    """As those that a study has drawn."""
    rates = (0.00013432117583312345, 0.00013432998877665544, 0.01, 0.020000000000000004)
    for k, rate in enumerate(rates):
        run(tmp_path / str(k), settings={"actor_lr": rate, "n_neurons": 1_000_000})
    assert {name for name, _ in cells(tmp_path)} == {
        "actor_lr=0.00013432", "actor_lr=0.00013433", "actor_lr=0.01", "actor_lr=0.02",
    }  # fmt: skip


def test_another_environment_has_a_panel_of_its_own(tmp_path: Path) -> None:
    run(tmp_path / "a")
    run(tmp_path / "b", environment="Hopper-v5")
    assert cells(tmp_path) == {("liquid_ddpg", "Pendulum-v1"): 1, ("liquid_ddpg", "Hopper-v5"): 1}


def test_an_environment_with_other_settings_is_another_curve_or_another_panel(tmp_path: Path) -> None:
    run(tmp_path / "a", run_settings=told())
    run(tmp_path / "heavy", run_settings=told(env__kwargs__g=9.0))
    assert set(cells(tmp_path)) == {("g=default", "Pendulum-v1"), ("g=9.0", "Pendulum-v1")}
    assert set(cells(tmp_path, "agent")) == {
        ("liquid_ddpg", "Pendulum-v1, g=default"),
        ("liquid_ddpg", "Pendulum-v1, g=9.0"),
    }
    assert set(cells(tmp_path, "agent", "env.kwargs.g")) == {
        ("liquid_ddpg, g=default", "Pendulum-v1"),
        ("liquid_ddpg, g=9.0", "Pendulum-v1"),
    }


def test_what_curves_are_told_apart_by_may_be_short(tmp_path: Path) -> None:
    for neurons in (20, 40):
        for rate in (1e-3, 1e-2):
            run(tmp_path / f"{neurons}-{rate}", settings={"n_neurons": neurons, "actor_lr": rate})
    assert cells(tmp_path, "n_neurons") == {("n_neurons=20", "Pendulum-v1"): 2, ("n_neurons=40", "Pendulum-v1"): 2}
    assert cells(tmp_path, "agent") == {("liquid_ddpg", "Pendulum-v1"): 4}


def test_curves_are_ordered_by_value(tmp_path: Path) -> None:
    for rate in (1e-3, 0.01, 2e-4, 10.0, 9.0):
        run(tmp_path / str(rate), settings={"actor_lr": rate})
    assert compare(tmp_path).curves == (
        "actor_lr=0.0002",
        "actor_lr=0.001",
        "actor_lr=0.01",
        "actor_lr=9.0",
        "actor_lr=10.0",
    )


def test_returns_of_different_environments_do_not_share_a_panel(tmp_path: Path) -> None:
    run(tmp_path / "a")
    assert set(cells(tmp_path, "env")) == {("Pendulum-v1", "Pendulum-v1")}
    run(tmp_path / "b", environment="Hopper-v5")
    with pytest.raises(
        SettingError, match=r"by=env: returns of different environments \(Hopper-v5, Pendulum-v1\) don't"
    ):
        cells(tmp_path, "env")


def test_a_setting_that_there_is_not(tmp_path: Path) -> None:
    run(tmp_path / "a")
    with pytest.raises(SettingError, match=r"by: no column 'n_neuron'; did you mean agent\.n_neurons\?"):
        cells(tmp_path, "n_neuron")
