"""Take pictures of pages that Velora wrote, in a real browser. From the top of a checkout:

- ``python -m docs._screenshots compare report.html`` takes those of guide/results.md from a page of ``velora compare``;
- ``python -m docs._screenshots watch watch.html`` takes the moving one of README.md from a page of ``velora watch``.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import Browser, browsing

IMAGES = Path(__file__).parent / "images"
WIDE, NARROW = 1280, 390
SCRUB = "document.querySelector('.scrub')"
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def compare(page: Path) -> None:
    """Write the four pictures of a comparison."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, browsing(Path(folder)) as browser:
        for name, width, height, dark in (
            ("light", WIDE, 1130, False),
            ("dark", WIDE, 1130, True),
            ("narrow", NARROW, 1400, False),
        ):
            browser.open(page, width=width, height=height, dark=dark)
            save(browser, name)
        browser.open(page, width=WIDE)
        panel = "document.querySelector('figure[data-panel]')"
        browser.ask(f"scrollTo(0, {panel}.getBoundingClientRect().top - 90)")
        box = json.loads(browser.ask(f"JSON.stringify({panel}.querySelector('svg').getBoundingClientRect())"))
        browser.point(box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"])
        save(browser, "hover", crop=(0, 70, WIDE // 2 + 20, 560))


def watch(page: Path) -> None:
    """Write an episode, every fourth step of the first 160, with the task and the circuit."""
    width, height, edge = 1000, 700, 12
    frames = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, browsing(Path(folder)) as browser:
        browser.open(page, width=width, height=height)
        shown = "document.querySelector('.circuit')"
        browser.ask(f"scrollTo(0, {shown}.getBoundingClientRect().top + {edge})")
        bottom = int(browser.ask(f"{shown}.getBoundingClientRect().bottom")) + edge
        for step in range(0, 160, 4):
            browser.ask(f"(s => {{ s.value = '{step}'; s.dispatchEvent(new Event('input')) }})({SCRUB})")
            browser.call("Runtime.evaluate", expression=PAINTED, awaitPromise=True)
            frames.append(taken(browser).crop((0, 0, width, min(bottom, height))))
    first, *rest = (one.resize((720, round(720 * one.height / one.width)), Image.Resampling.LANCZOS) for one in frames)
    first.save(IMAGES / "watch.webp", save_all=True, append_images=rest, duration=130, loop=0, quality=55, method=4)


def taken(browser: Browser) -> Image.Image:
    """Return what is seen."""
    with tempfile.TemporaryDirectory() as folder:
        return Image.open(io.BytesIO(browser.shoot(Path(folder) / "shot.png").read_bytes())).convert("RGB")


def save(browser: Browser, name: str, *, crop: tuple[int, int, int, int] | None = None) -> None:
    """Write what is seen as WebP."""
    picture = taken(browser)
    picture.crop(crop or (0, 0, *picture.size)).save(IMAGES / f"compare-{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    {"compare": compare, "watch": watch}[sys.argv[1]](Path(sys.argv[2]))
