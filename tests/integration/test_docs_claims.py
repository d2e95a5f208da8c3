"""The page that says what liquid policies are good for: no claim without its row, and no number that isn't in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from docs._rows import MARKER, addresses

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/benchmarks/good-for.md"
ROW = re.compile(r"\]\(([\w./-]+)#([\w-]+--[\w-]+)\)")
LINK = re.compile(r"\]\([^)]*\)")
SNIPPET = re.compile(r'^--8<-- "(?P<file>[^":]+)(?::(?P<first>\d+):)?"$', re.M)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)*")
NAMES = re.compile(r"\b(?:TD3|Walker2d|LiquidTD3|ATmega328P|velora\s+0\.1\.1|Stable-Baselines3|[Tt]old 1|C99)\b")
"""What has a digit in it and is no number."""


def claims() -> Iterator[str]:
    """Take the page apart: items of lists, and rows of tables but their heads."""
    text = PAGE.read_text()
    yield from re.findall(r"^- (?:.*\n(?:  .*\n)*)", text, re.M)
    yield from re.findall(r"^\| (?!your task|--).+$", text, re.M)


@cache
def rows(page: Path) -> dict[str, str]:
    """Return the rows of a page that its readers can link to, with its snippets put in."""

    def taken(found: re.Match[str]) -> str:
        lines = (ROOT / found["file"]).read_text().splitlines()
        return "\n".join(lines[int(found["first"] or 1) - 1 :])

    text = SNIPPET.sub(taken, page.read_text())
    assert MARKER in text, f"{page}: its rows have no address"
    lines = text.splitlines()
    return {name: f"{_head(lines, number)} {lines[number]}" for number, name in addresses(lines)}


def _head(lines: list[str], number: int) -> str:
    """Return the head of the table that a row is in: what its columns are called may have numbers too."""
    while lines[number - 1].startswith("|"):
        number -= 1
    return lines[number]


def numbers(text: str) -> list[str]:
    return [one.rstrip(",.") for one in NUMBER.findall(NAMES.sub("", text))]


def test_the_page_claims_much() -> None:
    assert len(list(claims())) > 25


@pytest.mark.parametrize("claim", list(claims()), ids=lambda claim: claim[2:40].strip())
def test_a_claim_has_its_rows_and_their_numbers(claim: str) -> None:
    links = ROW.findall(claim)
    assert links, "no link to a row"
    found = []
    for page, name in links:
        known = rows((PAGE.parent / page).resolve())
        assert name in known, f"{page} has no row {name}"
        found.append(known[name])
    assert set(numbers(LINK.sub("]", claim))) <= {one for row in found for one in _all_numbers(row)}


def _all_numbers(row: str) -> Iterator[str]:
    for one in NUMBER.findall(row):
        yield one.rstrip(",.")


def test_a_wrong_number_would_be_seen() -> None:
    row = rows(ROOT / "docs/benchmarks/time.md")["pendulum-irregular-time--cfc-dt-in-the-gate"]
    assert "205" in set(_all_numbers(row))
    assert "206" not in set(_all_numbers(row))
