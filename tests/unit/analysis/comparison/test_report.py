"""Pages, pictures and tables of a comparison as files, and the page in a real browser."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, browsing
from tests.unit.analysis.comparison_runs import make_sweep
from velora.analysis import Comparison, compare
from velora.analysis.comparison import report
from velora.analysis.comparison.table import Table
from velora.analysis.rows import Rows
from velora.core.errors import SettingError, VeloraError

COMMAND = "velora compare sweep by=agent out=report.html"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Make two agents on two environments, two values and three seeds each."""
    return compare(make_sweep(tmp_path_factory.mktemp("sweep")), by="agent")


@pytest.fixture(scope="module")
def page(sweep: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of the sweep."""
    return report.save(sweep, tmp_path_factory.mktemp("page") / "new" / "report.html", command=COMMAND)


# -------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", [".svg", ".png", ".csv", ".md"])
def test_files_are_the_same_to_the_byte_when_made_again(sweep: Comparison, tmp_path: Path, suffix: str) -> None:
    again = compare(sweep.runs[0].directory.parent, by="agent")
    made = [report.save(one, tmp_path / f"{i}{suffix}", command=COMMAND) for i, one in enumerate((sweep, again))]
    assert made[0].read_bytes() == made[1].read_bytes()


def test_the_page_is_the_same_to_the_byte_when_made_again(sweep: Comparison, page: Path, tmp_path: Path) -> None:
    again = compare(sweep.runs[0].directory.parent, by="agent")
    assert report.save(again, tmp_path / "again.html", command=COMMAND).read_bytes() == page.read_bytes()


def test_a_suffix_that_says_nothing(sweep: Comparison, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"expected a name that ends in \.html, \.csv, \.md, \.png, \.svg, \.pdf"):
        report.save(sweep, tmp_path / "report.xlsx")


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_a_file_that_cannot_be_written(sweep: Comparison, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VeloraError, match="can't be written"):
        report.save(sweep, tmp_path / "file" / f"a{suffix}")


def test_the_csv_has_every_digit(sweep: Comparison, tmp_path: Path) -> None:
    rows = list(csv.DictReader(report.save(sweep, tmp_path / "a.csv").read_text().splitlines()))
    assert [(row["environment"], row["curve"], row["seeds"]) for row in rows] == [
        ("InvertedPendulum-v5", "liquid_ddpg", "6"),
        ("InvertedPendulum-v5", "liquid_td3", "6"),
        ("Pendulum-v1", "liquid_ddpg", "6"),
        ("Pendulum-v1", "liquid_td3", "6"),
    ]
    assert float(rows[3]["final"]) == sweep.cells["liquid_td3", "Pendulum-v1"].estimates[0].value


def test_markdown_has_the_tables_the_remarks_and_the_command(sweep: Comparison) -> None:
    text = report.markdown(sweep, command=COMMAND)
    assert "\n| environment | curve | seeds | final | best so far | normalised | steps | time |\n" in text
    assert "\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n" in text
    assert "\n| Pendulum-v1 | liquid_td3 | 6 | -148.5 [" in text
    assert "\n| liquid_td3 > liquid_ddpg | 2 | 1 [1, 1] |\n" in text
    assert "\n- Each curve pools runs" in text
    assert f"```\n{COMMAND}\n```\n" in text


def test_a_table_is_aligned() -> None:
    table = Table(Rows([{"name": "a", "n": "1"}, {"name": "bcdef", "n": "100"}]), n_names=1)
    assert table.lines() == ["name     n", "a        1", "bcdef  100"]
    assert table.markdown() == ["| name | n |", "| --- | ---: |", "| a | 1 |", "| bcdef | 100 |"]


def test_the_page_names_the_settings_that_differ_and_no_others(page: Path) -> None:
    text = page.read_text()
    assert "<summary>8 runs, and the settings in which they differ</summary>" in text
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', text)
    assert "agent.actor_lr" in heads
    assert "agent.n_neurons" not in heads
    assert f"<code>{COMMAND}</code>" in text


# -------------------------------------------------------------------------------------------------- in a real browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser for all tests of this file."""
    folder = tmp_path_factory.mktemp("browser")
    with browsing(folder) as found:
        yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_has_no_errors(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.requests.clear()
    browser.open(page, width=width, dark=dark)
    assert browser.errors == []
    assert browser.requests == [page.as_uri()]  # nothing but itself
    assert browser.ask("document.documentElement.scrollWidth") == width
    ground, ink = (
        browser.ask("getComputedStyle(document.body).backgroundColor"),
        browser.ask("getComputedStyle(document.body).color"),
    )
    light, black = "rgb(255, 255, 255)", "rgb(27, 31, 36)"
    assert ((ground, ink) == (light, black)) is not dark
    curve = browser.ask("getComputedStyle(document.querySelector('[data-curve=\"0\"] text')).fill")
    assert curve == ("rgb(75, 126, 255)" if dark else "rgb(62, 78, 189)")
    assert len(browser.ask("[...document.querySelectorAll('figure svg')].map(one => one.clientWidth)")) == 6
    columns = browser.ask("new Set([...document.querySelectorAll('figure')].map(one => one.offsetLeft)).size")
    assert columns == (1 if width == 390 else 2)
    assert browser.shoot(page.with_suffix(".png")).stat().st_size > 10_000


def shown(browser: Browser) -> str:
    """Return what the first panel says of the values below the pointer."""
    text = browser.ask("(tip => tip.hidden ? '' : tip.innerText)(document.querySelector('figure .tip'))")
    return " ".join(str(text).split())


def test_values_are_said_below_the_pointer(browser: Browser, page: Path, sweep: Comparison) -> None:
    browser.open(page)
    assert shown(browser) == ""
    box = json.loads(
        browser.ask("JSON.stringify(document.querySelector('figure[data-panel] svg').getBoundingClientRect())")
    )
    browser.point(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    said = re.fullmatch(
        r"([\d,]+) environment steps per seed liquid_td3 ([\d.]+) \[.*\] liquid_ddpg ([\d.]+) \[.*\]", shown(browser)
    )
    assert said is not None, shown(browser)
    steps = float(said[1].replace(",", ""))
    for value, curve in ((said[2], "liquid_td3"), (said[3], "liquid_ddpg")):
        band = sweep.cells[curve, "InvertedPendulum-v5"].band
        nearest = abs(band.x - steps).argmin()
        assert float(value) == pytest.approx(band.middle[nearest], rel=0.01)
    browser.point(1, 1)
    assert shown(browser) == ""
    assert browser.errors == []


def test_values_are_said_to_the_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.ask("document.querySelector('figure[data-panel]').focus()")
    browser.press("End")
    assert shown(browser).startswith("6,000 environment steps per seed liquid_td3 451.5 [")
    browser.press("ArrowLeft")
    assert shown(browser).startswith("5,884 environment steps")
    browser.press("Escape")
    assert shown(browser) == ""
    assert browser.errors == []


def test_a_curve_is_hidden_and_shown_again(browser: Browser, page: Path) -> None:
    browser.open(page)
    parts = "[...document.querySelectorAll('svg [data-curve=\"1\"]')]"
    seen = f"{parts}.filter(one => getComputedStyle(one).display !== 'none').length"
    before = browser.ask(seen)
    assert before >= 6 * 2
    button = "document.querySelector('button[data-toggle=\"1\"]')"
    browser.ask(f"{button}.click()")
    assert (browser.ask(seen), browser.ask(f"{button}.getAttribute('aria-pressed')")) == (0, "false")
    browser.ask("document.querySelector('figure[data-panel]').focus()")
    browser.press("End")
    assert "liquid_td3" not in shown(browser)
    browser.ask(f"{button}.click()")
    assert (browser.ask(seen), browser.ask(f"{button}.getAttribute('aria-pressed')")) == (before, "true")
    assert browser.errors == []


def test_the_page_on_paper_is_light_and_without_what_needs_a_screen(browser: Browser, page: Path) -> None:
    browser.open(page, dark=True, paper=True, width=760)
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.ask("document.documentElement.scrollWidth") == 760
    assert browser.errors == []


def test_every_picture_is_named_and_every_id_is_there_once(browser: Browser, page: Path) -> None:
    browser.open(page)
    named = browser.ask(
        "[...document.querySelectorAll('svg[role=img]')].map(one => one.querySelector('title').textContent)"
    )
    assert len(named) == 6
    assert all(named)
    repeated = browser.ask(
        "(ids => ids.length - new Set(ids).size)([...document.querySelectorAll('[id]')].map(one => one.id))"
    )
    assert repeated == 0
