"""Audit every agent of the zoo, and write the table of guide/audit.md; in a browser, take the page's pictures.

From the top of a checkout: ``python -m docs._audits audits/ [name ...]``, then with no name for table and pictures.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import browsing
from velora.core.zoo import scores

HOME = Path(__file__).parent
WORDS = ("episodes=3", "max_steps=200", "seed=1")
SHOWN = "pendulum-positions"
COLUMNS = (
    *("agent", "parameters", "PC 1", "hidden velocity, R²: observation / two / state", "missed neurons"),
    *("noise 0.3", "dropout 0.3", "slope", "bound, 1 step", "5 steps"),
)


def main(folder: Path, names: list[str]) -> None:
    """Audit what is named, or write the table and the pictures."""
    for name in names:
        words = [f"zoo:{name}", *WORDS, f"out={folder / name}.html"]
        subprocess.run([sys.executable, "-m", "velora", "audit", *words], check=True)
    if not names:
        (HOME / "guide/table-audit.md").write_text(table(folder))
        take(folder / f"{SHOWN}.html")


def table(folder: Path) -> str:
    """Write a row for each agent of the zoo."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for name in scores():
        found = json.loads((folder / f"{name}.json").read_text())
        lines.append(f"| {' | '.join([name, *row(found)])} |")
    return "\n".join(lines) + "\n"


def row(found: dict[str, Any]) -> list[str]:
    """Write the cells of one agent, after its name."""
    effects = {one["name"]: one for one in (*found["removals"], *found["disturbances"])}
    missed = sum(one["interval"][1] < 0.0 for one in found["removals"])
    hidden = [one for one in found["probes"] if "velocity" in one["name"] and one["observation"] < 0.9]
    probed = "all are seen"
    if hidden:
        best = max(hidden, key=lambda one: float(one["state"]))
        scored = " / ".join("below 0" if one < 0.0 else f"{one:.2f}" for one in list(best.values())[1:])
        probed = f"{best['name'].partition(' (')[0]}: {scored}"
    bounds = {(one["radius"], one["steps"]): one for one in found["bounds"]}
    return [
        f"{found['sizes']['parameters']:,}",
        f"{100 * found['principal_components'][0]:.0f} %",
        probed,
        f"{missed} of {len(found['removals'])}",
        *(_change(effects[name]) for name in ("noise 0.3", "dropout 0.3")),
        f"{found['slope']['largest']:.3g}",
        *(_bound(bounds.get((0.001, steps))) for steps in (1, 5)),
    ]


def _change(effect: dict[str, Any]) -> str:
    low, high = effect["interval"]
    return f"{effect['change']:.3g} ({low:.3g} to {high:.3g})"


def _bound(one: dict[str, Any] | None) -> str:
    return "" if one is None else f"{one['width']:.2g}, {one['ratio']:.2g} x"


def take(page: Path) -> None:
    """Write pictures of a page as WebP, in light and in dark."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home, browsing(Path(home)) as browser:
        for name, section in (("audit", 2), ("audit-neurons", 5)):
            for scheme in ("light", "dark"):
                browser.open(page, width=1200, height=1000, dark=scheme == "dark")
                browser.ask(f"document.querySelectorAll('section')[{section}].scrollIntoView()")
                shot = browser.shoot(Path(home) / "shot.png").read_bytes()
                picture = Image.open(io.BytesIO(shot)).convert("RGB")
                picture.save(HOME / f"images/{name}-{scheme}.webp", quality=80, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
