"""Take the pictures of live pages in guide/watch.md, in a real browser.

From the top of a checkout: ``python -m docs._live_screenshots live.html beside.html``, of the pages that
``velora watch zoo:pendulum live=true`` writes, alone and beside ``zoo:pendulum-positions,zoo:pendulum-irregular-time``.
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


def main(live: Path, beside: Path) -> None:
    """Write the three pictures."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, browsing(Path(folder)) as browser:
        for name, dark in (("live-light", False), ("live-dark", True)):
            browser.open(live, width=1200, height=1090, dark=dark)
            pass_time(browser, 75)
            browser.ask("for (const k of [5, 17]) velora.page.toggle(velora.lanes[0], k)")
            browser.ask("velora.page.sense('speed', false)")
            box = json.loads(
                browser.ask("JSON.stringify(document.querySelector('.task canvas').getBoundingClientRect())")
            )
            x, y = box["x"] + 0.15 * box["width"], box["y"] + 0.3 * box["height"]
            browser.pointer("mousePressed", x, y)
            browser.ask("for (let k = 0; k < 12; k++) velora.page.tick(); velora.page.show(1)")
            save(browser, name)
            browser.pointer("mouseReleased", x, y)
        browser.open(beside, width=1200, height=720)
        pass_time(browser, 45)
        browser.ask("scrollTo(0, document.querySelector('.lanes').offsetTop - 70)")
        save(browser, "live-beside")


def pass_time(browser: Browser, ticks: int) -> None:
    """Let so many control steps pass, and stand still."""
    browser.ask(f"velora.page.play(false); velora.page.begin(4); for (let k = 0; k < {ticks}; k++) velora.page.tick()")
    browser.ask("velora.page.show(1)")


def save(browser: Browser, name: str) -> None:
    """Write what is seen as WebP."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Image.open(io.BytesIO(browser.shoot(Path(folder) / "shot.png").read_bytes())).convert("RGB")
    picture.save(IMAGES / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
