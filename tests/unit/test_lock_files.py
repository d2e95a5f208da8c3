"""The two lock files: one is a fact written twice, so it is compared."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pins(name: str) -> dict[str, str]:
    rows = (line.strip() for line in (ROOT / name).read_text().splitlines() if "==" in line)
    return {re.sub(r"[-_.]+", "-", row.split("==")[0]).lower(): row.split("==")[1] for row in rows}


def test_the_lock_file_of_ray_has_the_versions_of_everything_else() -> None:
    everywhere, ray = pins("constraints.txt"), pins("constraints-ray.txt")
    assert {name for name in ray if name in everywhere and ray[name] != everywhere[name]} == {
        "cloudpickle",
        "python-dateutil",
    }
    assert {"ray", "hydra-ray-launcher", "torch", "hydra-core"} <= ray.keys()
