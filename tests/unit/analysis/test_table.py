from __future__ import annotations

import csv
import io
import json
import math

import pytest

from velora.analysis import Rows
from velora.analysis.table import as_csv, as_json, as_lines, as_markdown, headings, number, seeds

ROWS = Rows(
    [
        {"run": "outputs/first", "agent.tau": 0.01, "steps": 8000, "return": -152.34, "seeds": [0, 1, 2], "time": 75.0},
        {"run": "outputs/second", "agent.tau": None, "steps": 40, "return": None, "seeds": [7], "time": 3700.0},
    ]
)
COLUMNS = ROWS.columns()


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    assert as_lines(ROWS, COLUMNS) == [
        "run             tau   steps  return  seeds     time",
        "outputs/first   0.01  8,000  -152.3  0-2       1:15",
        "outputs/second           40          7      1:01:40",
    ]


def test_spare_columns_go_first_where_there_is_no_room() -> None:
    spare = ("time", "steps")
    assert as_lines(ROWS, COLUMNS, width=51, spare=spare)[0].split() == [
        "run",
        "tau",
        "steps",
        "return",
        "seeds",
        "time",
    ]
    assert as_lines(ROWS, COLUMNS, width=50, spare=spare)[0].split() == ["run", "tau", "steps", "return", "seeds"]
    assert as_lines(ROWS, COLUMNS, width=40, spare=spare)[0].split() == ["run", "tau", "return", "seeds"]


def test_then_the_longest_column_is_cut_from_the_left() -> None:
    lines = as_lines(ROWS, COLUMNS, width=30, spare=("time", "steps"))
    assert lines[1].startswith("…ts/first  0.01")
    assert max(map(len, lines)) <= 30


def test_no_line_is_too_long_but_where_nothing_can_be_taken_away() -> None:
    for width in range(32, 60):
        assert max(map(len, as_lines(ROWS, COLUMNS, width=width, spare=("time", "steps")))) <= width
    assert as_lines(ROWS, COLUMNS, width=5, spare=("time",))


def test_no_row_is_a_heading() -> None:
    assert as_lines(Rows(), ["run", "steps"]) == ["run  steps"]


def test_a_setting_is_headed_by_its_last_part_if_that_tells_it_from_the_others() -> None:
    assert headings(["run", "agent.tau", "env.kwargs.g", "callbacks.mine.g", "my.run"]) == {
        "run": "run",
        "agent.tau": "tau",
        "env.kwargs.g": "env.kwargs.g",
        "callbacks.mine.g": "callbacks.mine.g",
        "my.run": "my.run",
    }


def test_markdown_says_which_columns_are_numbers() -> None:
    lines = as_markdown(Rows([{"run": "a|b", "return": 1.0}]), ["run", "return"])
    assert lines == ["| run | return |", "| --- | ---: |", "| a\\|b | 1 |"]


def test_csv_has_full_names_and_every_digit() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(Rows([{**ROWS[0], "return": 0.1 + 0.2}, *ROWS[1:]]), COLUMNS))))
    assert rows[0] == {
        "run": "outputs/first",
        "agent.tau": "0.01",
        "steps": "8000",
        "return": "0.30000000000000004",
        "seeds": "0 1 2",
        "time": "75.0",
    }
    assert rows[1]["return"] == ""


def test_csv_leaves_a_missing_number_empty_and_quotes_what_needs_it() -> None:
    assert as_csv(Rows([{"a": math.nan, "b": "x, y", "c": [20, "z"]}]), ["a", "b", "c"]) == (
        'a,b,c\n,"x, y","[20, ""z""]"\n'
    )


def test_json_is_valid_whatever_the_numbers_are() -> None:
    read = json.loads(
        as_json(Rows([{"a": math.nan, "b": -math.inf, "c": [1, 2], "d": 0.5}]), ["a", "b", "c", "d", "e"])
    )
    assert read == [{"a": None, "b": None, "c": [1, 2], "d": 0.5, "e": None}]


@pytest.mark.parametrize(
    ("values", "text"), [([0, 1], "0,1"), ([0, 1, 2], "0-2"), ([5, 3, 4, 5, 9], "5,3-5,9"), ([], ""), ([7], "7")]
)
def test_seeds_in_a_row_are_a_range(values: list[int], text: str) -> None:
    assert seeds(values) == text


@pytest.mark.parametrize(
    ("value", "text"), [(-1234.56, "-1,234.6"), (0.0, "0"), (99.99, "99.99"), (math.nan, ""), (math.inf, "inf")]
)
def test_a_number_has_about_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_name_with_ends_of_lines_bars_and_colours_stays_in_its_cell() -> None:
    rows = Rows([{"run": "a\nb|c\x1b[31m<b>,\u202e", "return": 1.0}])
    assert as_lines(rows, ["run", "return"])[1] == r"a\nb|c\x1b[31m<b>,\u202e       1"
    assert as_markdown(rows, ["run", "return"])[2] == r"| a\nb\|c\x1b[31m&lt;b>,\u202e | 1 |"
    (_, row) = csv.reader(io.StringIO(as_csv(rows, ["run", "return"])))
    assert row == ["a\nb|c\x1b[31m<b>,\u202e", "1.0"]


def test_a_heading_is_kept_in_its_cell_too() -> None:
    rows = Rows([{"env.kwargs.a|b\nc": 1}])
    assert as_markdown(rows, rows.columns())[0] == r"| a\|b\nc |"
    assert as_lines(rows, rows.columns())[0] == r"a|b\nc"


def test_a_searched_setting_is_short_for_people_and_whole_in_a_file() -> None:
    rows = Rows([{"agent.actor_lr": 0.0013385298778232698, "agent.tau": 0.02, "agent.critic_units": [64, 64]}])
    assert as_lines(rows, rows.columns())[1].split("  ") == ["0.00133853", "0.02", "[64, 64]"]
    assert "0.0013385298778232698" in as_csv(rows, rows.columns())
