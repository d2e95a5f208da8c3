from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from velora.analysis import drawing, page, panels
from velora.analysis.bands import RANGE, Band
from velora.analysis.palette import DARK, LIGHT
from velora.core.errors import VeloraError

VOID = {"meta", "path", "use", "link", "br"}


class Balance(HTMLParser):
    """Reader of HTML that notes ids, what is loaded, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in VOID else [tag]
        self._note(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def read(html: str) -> Balance:
    reader = Balance()
    reader.feed(html)
    assert reader.open == []
    return reader


def picture(name: str) -> str:
    """Draw two marked curves."""
    figure = drawing.make_figure(3, 2)
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.5))
    for i in range(2):
        drawing.mark(axes.plot([0, 1], [i, 1 - i], "o-", color=LIGHT.series[i])[0], i)
    drawing.dress(axes, title="Hopper-v5", below="return", across="steps")
    return drawing.embedded(figure, name=name, title="A < B", description="two curves")


def test_a_page_is_whole_and_loads_nothing() -> None:
    parts = [
        page.section("Trials & errors", page.table(("trial", "return"), [("<7>", "-1")], caption="All"), note="of 3"),
        page.section("Curves", page.figures([page.figure(picture(name), name=name) for name in ("a", "b")])),
        page.folded("More", page.notes(["few seeds"])),
    ]
    html = page.page("A <study>", parts, lead="Lead.", foot="velora tune 'a b'", data=[1, "</script>"], script="0;\n")
    found = read(html)
    assert "<title>A &lt;study&gt;</title>" in html
    assert '<td class="name">&lt;7&gt;</td><td>-1</td>' in html
    assert "<code>velora tune &#x27;a b&#x27;</code>" in html
    assert len(found.ids) == len(set(found.ids))
    assert all(target.startswith("#") for target in found.loaded)
    assert {target[1:] for target in found.loaded} <= set(found.ids)
    assert not re.search(r"@import|url\((?!#)|https?://(?!www\.w3\.org/)", html)
    told = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert told is not None
    assert json.loads(told[1]) == [1, "</script>"]


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        page.page("x", [], data=[float("nan")], script="0;")


def test_a_picture_in_a_page_takes_its_colours_and_font() -> None:
    svg = picture("one")
    for i in range(2):
        assert f'<g data-curve="{i}">' in svg
        assert f"stroke: var(--curve-{i}, {LIGHT.series[i]})" in svg
    assert f"fill: var(--ink, {LIGHT.ink})" in svg
    assert "var(--font, sans-serif)" in svg
    assert "DejaVu" not in svg
    assert "<style" not in svg
    assert '<title id="one-title">A &lt; B</title><desc id="one-desc">two curves</desc>' in svg
    assert 'aria-labelledby="one-title one-desc"' in svg
    assert ">Hopper-v5</text>" in svg  # text stays text: it can be found, read out and copied
    read(svg)


def test_a_picture_is_the_same_to_the_byte_when_drawn_again() -> None:
    assert picture("one") == picture("one")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_file_is_the_same_to_the_byte_when_saved_again(tmp_path: object, suffix: str) -> None:
    saved = []
    for _ in range(2):
        figure = drawing.make_figure(2, 1)
        figure.add_axes((0.2, 0.2, 0.6, 0.6)).plot(np.arange(3), "o")
        saved.append(drawing.save_figure(figure, f"{tmp_path}/new/a{suffix}", dpi=40).read_bytes())
    assert saved[0] == saved[1]


def test_a_picture_that_cannot_be_written(tmp_path: object) -> None:
    with pytest.raises(VeloraError, match=r"a\.doc: the picture can't be written .* choose another path or format"):
        drawing.save_figure(drawing.make_figure(2, 1), f"{tmp_path}/a.doc")


def test_a_page_is_dark_where_the_reader_is_and_light_on_paper() -> None:
    html = page.page("x", [])
    assert f":root {{ {LIGHT.variables()} }}" in html
    assert f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {DARK.variables()} }} }}" in html


def test_the_width_of_text_is_measured() -> None:
    figure = drawing.make_figure(2, 1)
    one, two = (drawing.text_width(figure, texts) for texts in (["mm"], ["i", "mmmm"]))
    assert two == pytest.approx(2 * one, rel=0.1)
    assert drawing.text_width(figure, []) == 0.0


def test_caption_and_title_are_broken_where_the_figure_ends() -> None:
    caption = (
        "Line: interquartile mean of 3 seeds. Band: 95 % bootstrap interval. Thin lines: single seeds. "
        "Circles: evaluations."
    )
    band = Band(np.arange(2.0), np.zeros(2), np.zeros(2), np.zeros(2), RANGE)
    panel = panels.Panel("Pendulum-v1", "return", "steps", (panels.Line("a", 0, band, 3),))
    figure = panels.draw_together([panel], note=caption, title=f"A title: {caption}", size=(7.3, 4.4))
    figure.canvas.draw()
    assert [" ".join(text.get_text().split()) for text in figure.texts] == [caption, f"A title: {caption}"]
    for text in figure.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height
    lowest = min(axes.get_tightbbox().y0 for axes in figure.axes)
    assert figure.texts[0].get_window_extent().y1 < lowest


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--<script>", "]]>"])
def test_no_name_ends_the_data_of_a_page_or_swallows_what_follows(name: str) -> None:
    html = page.page(name, [page.notes([name])], foot=name, data={"name": name}, script="0;\n")
    assert html.count("<script") == 2
    assert "<!--" not in html
    found = re.search(r'id="data">(.*?)</script>', html)
    assert found is not None
    assert json.loads(found[1]) == {"name": name}
    read(html)


@pytest.mark.parametrize("name", ["$\\frac{$", "$x^2$", "a$b"])
def test_dollars_are_no_formula(name: str) -> None:
    figure = drawing.make_figure(3, 2)
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.5))
    drawing.dress(axes, title=name, below=name, across=name)
    axes.set_yticks([0, 1], [name, "b"])
    assert drawing.text_width(figure, [name]) > 0
    svg = drawing.embedded(figure, name="a", title=name, description=name)
    assert svg.count(f">{name}</text>") == 4
