"""``velora plot`` and ``plot_runs``: the picture, and that it is the one of a comparison."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.analysis.run_directories import make_run
from velora.analysis import drawing, plot_runs
from velora.core.errors import RunDirectoryError, SettingError, VeloraError
from velora.metrics import RunStore

RETURNS = (-3.0, -2.0, 0.0)


def drawn(*paths: Path, window: int = 10) -> str:
    """Draw the only panel of runs as SVG, with text as text."""
    return drawing.embedded(plot_runs(paths, window=window), name="one", title="t", description="d")


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_made(tmp_path: Path, seeds: tuple[int, ...], suffix: str) -> None:
    make_run(tmp_path / "run", *RETURNS, seeds=seeds)
    out = tmp_path / "new" / f"curve{suffix}"
    plot_runs([tmp_path / "run"], out, window=2, title="Pendulum", dpi=50)
    assert out.read_bytes().lstrip()[:5] in (b"\x89PNG\r", b"<?xml")


def test_the_figure_is_returned_and_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    figure = plot_runs(make_run(tmp_path / "run", *RETURNS))
    assert figure.axes[0].get_xlabel() == "environment steps per seed"
    assert figure._repr_png_().startswith(b"\x89PNG\r")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # no file was asked for


def test_a_line_says_what_the_band_is(tmp_path: Path) -> None:
    text = drawn(make_run(tmp_path / "three", *RETURNS, seeds=(0, 1, 2)))
    assert (
        ">Line: interquartile mean of 3 seeds. Band: 95 % bootstrap interval. Thin lines: single seeds.</text>" in text
    )
    assert ">return of an episode, mean of 10</text>" in text


def test_evaluations_are_circles(tmp_path: Path) -> None:
    figure = plot_runs(make_run(tmp_path / "run", *RETURNS, seeds=(0, 1), evaluations={2: -2.0}))
    _, circles = figure.axes[0].collections  # after the band
    np.testing.assert_array_equal(circles.get_offsets(), [[400.0, -2.0], [400.0, -2.0]])


def test_a_note_is_not_cut_at_the_edge(tmp_path: Path) -> None:
    for agent, seeds in (("liquid_ddpg", (0, 1, 2)), ("liquid_td3", (0, 1))):
        make_run(tmp_path / agent, *RETURNS, agent=agent, seeds=seeds, evaluations={2: -2.0})
    figure = plot_runs(tmp_path)
    (note,) = figure.texts
    assert note.get_text().replace("\n", " ").endswith("Thin lines: single seeds. Circles: evaluations.")
    box = note.get_window_extent(figure.canvas.get_renderer())
    labels = figure.axes[0].xaxis.get_tightbbox(figure.canvas.get_renderer())
    assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1
    assert figure.bbox.y0 < box.y0 < box.y1 < labels.y0


def test_environments_have_a_panel_each_and_curves_keep_their_colour(tmp_path: Path) -> None:
    for agent, environment in (
        ("liquid_ddpg", "Pendulum-v1"),
        ("liquid_td3", "Pendulum-v1"),
        ("liquid_td3", "Hopper-v5"),
    ):
        make_run(tmp_path / f"{agent}-{environment}", *RETURNS, agent=agent, environment=environment)
    figure = plot_runs(tmp_path)
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["Hopper-v5", "Pendulum-v1"]
    hopper, pendulum = ({text.get_text(): text.get_color() for text in axes.texts[2:]} for axes in figure.axes)
    assert list(hopper) == ["liquid_td3"]
    assert list(pendulum) == ["liquid_ddpg", "liquid_td3"]
    assert hopper["liquid_td3"] == pendulum["liquid_td3"] != pendulum["liquid_ddpg"]


def test_both_axes_have_separators_between_thousands(tmp_path: Path) -> None:
    text = drawn(make_run(tmp_path / "run", *[-1500.0 + 200 * k for k in range(10)]), window=1)
    assert re.search(">\N{MINUS SIGN}1,[0-9]00</text>", text)
    assert ">2,000</text>" in text


def test_ticks() -> None:
    assert [drawing.tick(value) for value in (0.0, -0.0, -5.5e-17, 0.1 + 0.2, -1234.5, 2e6)] == [
        "0", "0", "0", "0.3", "\N{MINUS SIGN}1,234.5", "2,000,000",
    ]  # fmt: skip


def test_looking_leaves_no_file_in_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", *RETURNS)
    plot_runs([run], tmp_path / "curve.png", dpi=50)
    assert [path.name for path in run.iterdir()] == ["metrics.db"]


def test_one_episode_is_enough(tmp_path: Path) -> None:
    make_run(tmp_path / "run", 0.0, seeds=(0, 1))
    plot_runs([tmp_path / "run"], tmp_path / "curve.png", dpi=50)
    assert (tmp_path / "curve.png").stat().st_size > 0


def test_a_run_that_is_still_going_on_can_be_drawn(tmp_path: Path) -> None:
    make_run(tmp_path / "run", *RETURNS, status="running")
    with RunStore(tmp_path / "run" / "metrics.db") as store:
        store.start_run(run_id="run-1", agent="liquid_ddpg", environment="Pendulum-v1", seeds=(7,))
        plot_runs([tmp_path / "run"], tmp_path / "curve.png", dpi=50)


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="expected runs in or below it, found none"):
        plot_runs([tmp_path], tmp_path / "curve.png")
    make_run(tmp_path / "run")
    with pytest.raises(RunDirectoryError, match="expected finished episodes, found none"):
        plot_runs([tmp_path], tmp_path / "curve.png")


def test_bad_settings(tmp_path: Path) -> None:
    make_run(tmp_path / "run", *RETURNS)
    with pytest.raises(SettingError, match="window: expected a whole number >= 1, got 0"):
        plot_runs([tmp_path], tmp_path / "curve.png", window=0)
    with pytest.raises(VeloraError, match="can't be written"):
        plot_runs([tmp_path], tmp_path / "curve.doc")
    with pytest.raises(VeloraError, match="can't be written"):
        plot_runs([tmp_path], tmp_path / "run" / "metrics.db" / "curve.png")


def test_matplotlib_is_imported_late_and_its_absence_explained(tmp_path: Path) -> None:
    make_run(tmp_path / "run", *RETURNS)
    program = (
        "import sys; from velora.analysis import plot_runs; assert 'matplotlib' not in sys.modules;"
        "sys.modules['matplotlib'] = None; plot_runs([sys.argv[1]], 'curve.png')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert "matplotlib isn't installed; install it, or the extra plot" in done.stderr
    assert "velora[" not in done.stderr
    assert not (tmp_path / "curve.png").exists()
