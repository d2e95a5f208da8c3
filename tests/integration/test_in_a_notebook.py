"""Notebooks, run by a real Jupyter kernel: what stands in one once it is saved, and those of ``examples/``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from docs._notebooks import EXAMPLES, run

nbformat = pytest.importorskip("nbformat", reason="needs Jupyter: pip install -e '.[notebook]'")
nbclient = pytest.importorskip("nbclient", reason="needs Jupyter: pip install -e '.[notebook]'")
pytest.importorskip("ipykernel", reason="needs Jupyter: pip install -e '.[notebook]'")

FIGURE = """
from velora.analysis.curves import plot_runs
agent.train("Pendulum-v1", 16, n_episodes=2, run_dir="run", progress_bar=False, summary=False)
plot_runs("run")
"""
CELLS = (
    "from velora.models import LiquidDDPG\nagent = LiquidDDPG(3, 5, 1, warmup_steps=150, seed=0, device='cpu')\nagent",
    "result = agent.train('Pendulum-v1', 16, n_episodes=3, summary=False)",
    "agent",
    FIGURE,
)


@pytest.mark.slow
def test_a_cell_shows_one_bar_and_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources=where).execute()
    before, training, after, figure = ([dict(one) for one in cell["outputs"]] for cell in notebook.cells)
    assert "trained   not yet" in shown(before)["text/plain"]
    assert "<table>" in shown(before)["text/html"]
    assert shown(training)["text/plain"].startswith("[finished] | episode 3/3 | step 600")  # it was replaced in place
    assert '<progress value="1.0000" max="1"' in shown(training)["text/html"]
    assert "3 episodes, 600 steps, 450 updates" in shown(after)["text/plain"]
    assert shown(figure)["image/png"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_an_example_puts_out_what_is_saved_with_it(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    saved, again = nbformat.read(notebook, 4), run(notebook, timeout_s=1800)
    assert [lines(cell) for cell in again.cells] == [lines(cell) for cell in saved.cells]


def lines(cell: Any) -> str:
    """Return what a cell puts out, without its digits: they may differ in the last place on another processor.

    What it prints comes in as many pieces as there happened to be.
    """
    found = "".join(one.get("text") or one["data"]["text/plain"] for one in cell.get("outputs", []))
    return re.sub(r"[-\d., ]+", " ", found)


def shown(outputs: list[dict[str, Any]]) -> dict[str, str]:
    """Return what a cell shows: one thing, nothing on standard error."""
    (only,) = outputs
    return dict(only["data"])
