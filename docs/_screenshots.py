"""Take the pictures of guide/results.md from a page of ``velora compare``, in a real browser.

From the top of a checkout: ``python -m docs._screenshots report.html``
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


def main(page: Path) -> None:
    """Write the four pictures."""
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


def save(browser: Browser, name: str, *, crop: tuple[int, int, int, int] | None = None) -> None:
    """Write what is seen as WebP."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Image.open(io.BytesIO(browser.shoot(Path(folder) / "shot.png").read_bytes())).convert("RGB")
    picture.crop(crop or (0, 0, *picture.size)).save(IMAGES / f"compare-{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
