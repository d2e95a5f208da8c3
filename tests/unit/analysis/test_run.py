from __future__ import annotations

import sys
from pathlib import Path

import pytest

from velora.analysis import Rows, find_runs
from velora.analysis.run import Run
from velora.core.errors import SettingError, VeloraError

from .run_directories import make_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    make_run(tmp_path, -900.0, -500.0, evaluations={2: -400.0}, logged={"lr": 0.5, "noise": 2.0})
    return find_runs(tmp_path)[0]


def test_every_row_of_a_run_is_a_dictionary(run: Run) -> None:
    episode = run.episodes()[1]
    assert (episode["seed"], episode["episode"], episode["step"], episode["return"]) == (7, 2, 400, -500.0)
    assert run.losses() == [
        {"seed": 7, "episode": 1, "step": 200, "actor/loss": 1.0},
        {"seed": 7, "episode": 2, "step": 400, "actor/loss": 2.0},
    ]
    (evaluation,) = run.evaluations()
    assert (evaluation["mean"], evaluation["std"], evaluation["returns"]) == (-400.0, 10.0, [-410.0, -390.0])
    assert run.logged("lr") == [
        {"seed": 7, "name": "lr", "step": 400, "updates": 300, "episode": 2, "value": 0.5},
    ]
    assert run.logged().column("name") == ["lr", "noise"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("return", [-900.0, -500.0]),
        ("length", [200.0, 200.0]),
        ("evaluation", [-400.0]),
        ("actor/loss", [1.0, 2.0]),
        ("noise", [2.0]),
    ],
)
def test_a_metric_is_found_whoever_recorded_it(run: Run, name: str, values: list[float]) -> None:
    assert run.metric(name).column("value") == values
    assert name in run.metrics()


def test_a_metric_that_nobody_recorded_is_one_line(run: Run) -> None:
    with pytest.raises(SettingError, match="nobody recorded 'nois'; did you mean noise"):
        run.metric("nois")


def test_rows_become_a_data_frame(run: Run) -> None:
    pytest.importorskip("pandas", reason="needs pandas, of the extra pandas")
    frame = run.episodes().to_pandas()
    assert list(frame["return"]) == [-900.0, -500.0]
    assert Rows().to_pandas().empty


def test_a_table_without_rows_has_the_columns_of_one_with_rows(run: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "empty")
    empty = find_runs(tmp_path / "empty")[0]
    for table in (Run.episodes, Run.evaluations, Run.logged):
        assert (table(empty), table(empty).columns()) == ([], table(run).columns())


def test_without_pandas_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(VeloraError, match=r"pandas isn't installed; install it, or the extra pandas"):
        Rows([{"a": 1}]).to_pandas()
