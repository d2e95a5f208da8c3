"""Trackio, in its environment of its own: what its database has of a run in two parts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-trackio" / "bin" / "python"
PARTS = """
import json
from pathlib import Path
from tests.integration.test_logger_files import RETURN, Show, train_in_two_parts
from trackio.sqlite_storage import SQLiteStorage

points = train_in_two_parts(Path("run"), {"trackio": {"project": "mine", "log_model": True}}, Show(Path.cwd()))
names = SQLiteStorage.get_runs("mine")
rows = SQLiteStorage.get_logs("mine", names[0])
print(json.dumps({
    "names": names,
    "ours": points,
    "points": [[row["step"], row[RETURN]] for row in rows if RETURN in row],
    "media": [[row["step"], name] for row in rows for name in ("swing", "plot") if name in row],
    "config": SQLiteStorage.get_run_config("mine", names[0]),
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="needs Trackio in an environment of its own: make trackio")
def test_trackio(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKIO_", "HF_"))}
    env |= {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    env["PYTHONPATH"] = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [PYTHON, "-c", PARTS], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    (name,) = found["names"]  # one run of two parts
    assert name.startswith("run-")
    ours = [tuple(point) for point in found["ours"]]
    assert sorted(map(tuple, found["points"])) == sorted([*ours, ours[2]])  # the third was done twice
    assert found["media"] == [[5, "swing"], [7, "plot"]]
    assert found["config"]["agent"]["n_neurons"] == 6
    assert [path.suffix for path in (tmp_path / "trackio" / "media").rglob("*.gif")] == [".gif"]
    blobs = [path for path in (tmp_path / "trackio").rglob("*") if "artifact" in str(path).lower() and path.is_file()]
    assert blobs, sorted((tmp_path / "trackio").rglob("*"))
