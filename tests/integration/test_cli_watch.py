"""``velora watch``: the page is whole, loads nothing, and works in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser import Browser, browsing
from tests.integration.conftest import Command
from tests.unit.watch.golden import golden

VIEWER = Path(__file__).parents[2] / "viewer"
BUNDLES = [Path(__file__).parents[2] / "src/velora/watch" / name for name in ("viewer.js", "live.js")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:  # type: ignore[misc]
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


def page(command: Command, *words: str) -> Path:
    code, out, err = command("watch", "zoo:pendulum", "max_steps=40", "seed=1", "out=watch.html", *words)
    assert code == 0, err
    return Path(json.loads(out.splitlines()[-1])["page"])


def step(browser: Browser) -> int:
    return int(browser.ask("document.querySelector('.scrub').value"))


def ink(browser: Browser, canvas: str) -> int:
    """Return how many letters the picture of a canvas takes: the more is drawn, the more."""
    return len(browser.ask(f"document.querySelector('{canvas}').toDataURL()"))


def blank(browser: Browser, canvas: str) -> int:
    """Return the same of an empty one of that size."""
    script = "c => { const e = document.createElement('canvas'); e.width = c.width; e.height = c.height; return e }"
    return len(browser.ask(f"({script})(document.querySelector('{canvas}')).toDataURL()"))


def test_an_episode_is_played_scrubbed_and_looked_into(command: Command, browser: Browser) -> None:
    browser.open(page(command), width=1200, height=1000)
    browser.press("Home")
    assert step(browser) == 0
    for _ in range(3):
        browser.press("ArrowRight")
    assert step(browser) == 3
    browser.press("End")
    assert step(browser) == 39
    assert browser.ask("document.querySelector('.clock').textContent") == "40 of 40"
    assert browser.ask("document.querySelector('.task img').naturalWidth") > 100
    every = ink(browser, ".circuit canvas")
    browser.ask("(s => { s.value = '20'; s.dispatchEvent(new Event('change')) })(document.querySelector('.neuron'))")
    assert blank(browser, ".circuit canvas") < ink(browser, ".circuit canvas") < every
    assert "command 6" in browser.ask("document.querySelector('.told').textContent")
    assert ink(browser, ".of-neuron canvas") > blank(browser, ".of-neuron canvas")
    browser.press("Escape")
    assert ink(browser, ".circuit canvas") == every
    browser.ask("document.querySelector('.play').click()")
    assert browser.ask("document.querySelector('.play').textContent") == "Stop"
    assert browser.errors == []
    assert {one.partition(":")[0] for one in browser.requests} == {"file", "data"}


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1200, True)])
def test_nothing_is_wider_than_the_window(command: Command, browser: Browser, width: int, dark: bool) -> None:
    browser.open(page(command, "pictures=false"), width=width, height=800, dark=dark)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("document.querySelector('.task')") is None
    assert ink(browser, ".circuit canvas") > blank(browser, ".circuit canvas")
    assert browser.errors == []


def test_its_foot_has_the_command_that_makes_it_again(command: Command) -> None:
    made = page(command, "pictures=false", "env.id=Pendulum-v1", "+env.kwargs.g=9.0").read_text()
    words = "max_steps=40 seed=1 pictures=false env.id=Pendulum-v1 +env.kwargs.g=9.0"
    assert f"velora watch checkpoint=zoo:pendulum {words}</code>" in made


def test_a_page_says_what_was_wrong(command: Command) -> None:
    for words, told in (
        (("zoo:nobody",), "nobody"),
        (("zoo:pendulum", "episodes=2"), "episodes: a page shows 1, got 2"),
        (("zoo:pendulum", "max_steps=0"), "max_steps of at least 1, got 0"),
        (("zoo:pendulum", "max_steps=2", "pictures=false", "out=watch.html/in"), "can't be written"),
    ):
        Path("watch.html").write_text("mine")
        code, _, err = command("watch", *words)
        assert (code, told in err.splitlines()[-1]) == (2, True), err
        assert Path("watch.html").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not shutil.which("npm"), reason="needs Node and npm: apt-get install npm")
def test_the_bundles_are_built_from_their_source_and_that_passes_its_tests() -> None:
    before = [bundle.read_bytes() for bundle in BUNDLES]
    made = VIEWER / "build/golden.json"
    made.parent.mkdir(exist_ok=True)
    made.write_text(json.dumps(golden(), allow_nan=False))
    for words in (("ci", "--no-audit", "--no-fund"), ("run", "check"), ("test",), ("run", "build")):
        done = subprocess.run(["npm", *words], cwd=VIEWER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for bundle, was in zip(BUNDLES, before, strict=True):
        assert bundle.read_bytes() == was, f"{bundle.name}: make viewer has not been run after a change in viewer/src"


def test_the_foot_names_every_setting_that_decides_the_page(command: Command) -> None:
    made = page(command, "pictures=false", "env=pendulum").read_text()
    assert "velora watch checkpoint=zoo:pendulum max_steps=40 seed=1 pictures=false env=pendulum<" in made
