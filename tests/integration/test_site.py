"""The built site in a real browser: every page, light and dark, wide and narrow; the search; what newcomers want."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import Browser, browsing

ROOT = Path(__file__).parents[2]
FEW = ("index.md", "install.md", "theory.md", "benchmarks/good-for.md")
"""What the default tests build: no API reference, which takes most of the time."""
SEARCHES = {
    "own environment": "guide/your-own-environment/",
    "custom environment": "guide/your-own-environment/",
    "video": "tutorial/callback/",
    "export": "guide/onnx/",
    "ONNX": "guide/onnx/",
    "tune": "guide/tuning/",
    "Optuna": "guide/tuning/",
    "SLURM": "guide/clusters/",
    "Ray": "guide/clusters/",
    "notebook": "examples/",
    "microcontroller": "guide/microcontroller/",
    "GRU": "benchmarks/",
}
"""What is typed into the search box, and a page that has to be among the first three found."""
SOUGHT: dict[str, tuple[list[str] | str, str]] = {
    "how do I install it": (["Install"], "install/"),
    "how do I train an agent": (["Tutorials"], "examples/first-agent/"),
    "can it learn in my environment": (["Your own environment"], "guide/your-own-environment/"),
    "how do I save an agent and load it": (["Save and load"], "tutorial/saving-and-loading/"),
    "how do I get a video": ("video", "tutorial/callback/"),
    "is it better than a GRU": (["What liquid policies are and are not good for"], "benchmarks/good-for/"),
    "does it run on my chip": (["Tutorials", "Deploy to a microcontroller"], "guide/microcontroller/"),
    "what does LiquidTD3 take": ("LiquidTD3", "reference/api/models/"),
    "what is a CfC": (["Theory"], "theory/"),
    "my run was killed, can it go on": (["Tutorials", "Resume"], "guide/exact-resume/"),
}
"""Ten things that a new reader looks for: what is clicked, or typed into the search box, and where that ends."""
BUILD = """
import sys
from mkdocs.commands.build import build
from mkdocs.config import load_config
few = sys.argv[2:]
build(load_config("mkdocs.yml", site_dir=sys.argv[1], plugins=["search"], nav=few, validation={},
                  exclude_docs="*.md\\n" + "".join(f"!/{one}\\n" for one in few) + "*.py\\n"))
"""
CROWDED = """(() => [...document.querySelectorAll('.md-content pre')].filter(pre => {
    const button = pre.querySelector('.md-code__nav, .md-clipboard')
    return button && pre.querySelector('code').getBoundingClientRect().right > button.getBoundingClientRect().left + 1
}).map(pre => pre.textContent.slice(0, 60)))()"""
BROKEN = """(() => [...document.querySelectorAll('.md-content :not(pre) > code')].filter(code =>
    code.textContent.length < 24 && !code.textContent.includes(' ')
    && new Set([...code.getClientRects()].map(one => Math.round(one.top))).size > 1
    || code.textContent.length < 24 && code.offsetHeight > 2.2 * parseFloat(getComputedStyle(code).fontSize) * 1.4
).map(code => code.textContent))()"""
MISSING = "[...document.images].filter(one => one.complete && one.naturalWidth == 0).map(one => one.src)"
FOUND = "JSON.stringify([...document.querySelectorAll('.md-search-result__item > a')].map(one => one.href))"


def built(folder: Path, *few: str) -> Path:
    command = ["-c", BUILD, str(folder), *few] if few else ["-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; the search needs that, since browsers read no files for a page from disk."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("whole") / "site")


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as found:
        yield found


def faults(browser: Browser, page: str, *, width: int, dark: bool, shot: Path) -> list[str]:
    """Open a page, and say what is wrong with how it looks."""
    browser.errors.clear()
    browser.open(page, width=width, height=1000, dark=dark)
    found = [f"error: {one}" for one in browser.errors]
    if (wide := browser.ask("document.documentElement.scrollWidth")) > width:
        found.append(f"is {wide} wide")
    found += [f"under the copy button: {one}" for one in browser.ask(CROWDED)]
    found += [f"broken: {one}" for one in browser.ask(BROKEN)]
    found += [f"no picture: {one}" for one in browser.ask(MISSING)]
    scheme = browser.ask("document.body.getAttribute('data-md-color-scheme')")
    if scheme != ("slate" if dark else "default"):
        found.append(f"is {scheme}")
    if dark and (share := white(browser.shoot(shot, whole=True))) > 0.03:
        found.append(f"is white in {share:.0%} of its area")
    place = page.split("/", 3)[3]
    return [f"/{place} at {width}{', dark' if dark else ''}: {one}" for one in found]


def white(picture: Path) -> float:
    """Return which share of a picture is (nearly) white."""
    counts = Image.open(picture).convert("L").histogram()
    return sum(counts[225:]) / sum(counts)


def search(browser: Browser, address: str, words: str) -> list[str]:
    """Type into the search box, and return the pages found, the best first."""
    browser.open(address, width=1280, height=1000)
    browser.ask("document.querySelector('.md-search__input').focus()")
    browser.call("Input.insertText", text=words)
    deadline = time.monotonic() + 60.0
    while not (found := json.loads(browser.ask(FOUND))):
        assert time.monotonic() < deadline, f"{words!r}: nothing found"
        time.sleep(0.1)
    time.sleep(0.5)  # the rest of the list
    found = json.loads(browser.ask(FOUND))
    return list(dict.fromkeys(one.split("?")[0].split("#")[0].removeprefix(address) for one in found))


def click(browser: Browser, text: str) -> None:
    """Follow a link that can be seen, by its text."""
    link = f"""[...document.querySelectorAll('a')].find(one => one.innerText.trim() == {json.dumps(text)}
        && one.getClientRects().length && getComputedStyle(one).visibility == 'visible')"""
    assert browser.ask(f"Boolean({link})"), f"no link {text!r} to be seen on {browser.ask('location.href')}"
    before = browser.ask("location.href")
    browser.ask(f"({link}).click()")
    deadline = time.monotonic() + 60.0
    while browser.ask("location.href") == before or browser.ask("document.readyState") != "complete":
        assert time.monotonic() < deadline, f"{text!r} leads nowhere"
        time.sleep(0.05)


@pytest.mark.timeout(900)  # two processes, on a busy machine
def test_a_few_pages_are_whole_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    with served(built(tmp_path / "site", *FEW)) as address:
        for width, dark in ((1280, True), (360, False)):
            for page in ("", "install/", "theory/", "benchmarks/good-for/"):
                assert faults(browser, address + page, width=width, dark=dark, shot=tmp_path / "shot.png") == []
        browser.open(address, width=1280)
        drawn = "document.querySelector('iframe.viewer').contentDocument.querySelector('canvas').width"
        assert int(browser.ask(drawn)) > 100
        browser.open(f"{address}theory/", width=1280)
        assert int(browser.ask("document.querySelectorAll('math').length")) >= 8
        outside = {one for one in browser.requests if not one.startswith((address, "data:", "blob:"))}
        assert outside == set()


@pytest.mark.slow
@pytest.mark.timeout(1800)  # of that, building the site is the most
def test_every_page_is_whole_in_a_browser(browser: Browser, site: Path, address: str, tmp_path: Path) -> None:
    pages = sorted(str(one.parent.relative_to(site)) for one in site.rglob("index.html"))
    assert len(pages) > 70
    wrong = []
    for page in pages:
        url = address if page == "." else f"{address}{page}/"
        for width, dark in ((1280, True), (360, False)):
            wrong += faults(browser, url, width=width, dark=dark, shot=tmp_path / "shot.png")
    assert wrong == []
    assert {one for one in browser.requests if not one.startswith((address, "data:", "blob:"))} == set()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_search_finds_what_is_looked_for(browser: Browser, address: str) -> None:
    found = {words: search(browser, address, words)[:3] for words in SEARCHES}
    missed = {
        words: found[words] for words, page in SEARCHES.items() if not any(one.startswith(page) for one in found[words])
    }
    assert missed == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("question", SOUGHT)
def test_a_new_reader_finds_it(browser: Browser, address: str, question: str) -> None:
    way, page = SOUGHT[question]
    if isinstance(way, str):
        assert page in search(browser, address, way)[:3]
        return
    assert len(way) < 3
    browser.open(address, width=1280)
    for text in way:
        click(browser, text)
    assert browser.ask("location.href").split("#")[0] == address + page
