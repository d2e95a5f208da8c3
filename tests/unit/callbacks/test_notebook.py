"""The bar of a notebook, as text and as HTML. A real kernel shows it in tests/integration/test_notebook.py."""

from velora.callbacks.notebook import Picture, is_notebook
from velora.callbacks.progress_view import Snapshot, as_line
from velora.core.types import WindowStats


def test_the_picture_says_what_the_line_says() -> None:
    window = WindowStats(size=10, count=3, mean=-900.0, std=1.0, max=-800.0)
    snapshot = Snapshot(
        phase="training",
        episode=3,
        n_episodes=12,
        step=600,
        n_steps=None,
        window=window,
        losses={"<actor>/loss": 0.5},
        evaluation=None,
        steps_per_second=1000.0,
        elapsed_s=61.0,
        left_s=183.0,
    )
    picture = Picture(snapshot)
    assert repr(picture) == as_line(snapshot)
    html = picture._repr_html_()
    assert '<progress value="0.2500" max="1"' in html
    assert "<b>training</b>" in html
    assert "25%<br>" in html
    assert "&lt;actor&gt;/loss 0.5" in html
    assert "3:03 left" in html


def test_a_process_without_ipython_is_no_notebook() -> None:
    assert not is_notebook()
