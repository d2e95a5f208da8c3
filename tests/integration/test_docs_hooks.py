"""What the hooks of the site make of its pages: formulas, notebooks, addresses of rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs._formulas import FENCE, mathml
from docs._notebooks import EXAMPLES, on_page_markdown, page
from docs._rows import addresses

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize(
    ("tex", "drawn"),
    [
        ("h_1", "<msub><mi>h</mi><mn>1</mn></msub>"),
        ("h_i^2", "<msubsup><mi>h</mi><mi>i</mi><mn>2</mn></msubsup>"),
        (r"\frac{1}{\tau}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mi>τ</mi></mrow></mfrac>"),
        (r"\mathrm{dt} < 1", "<mi>dt</mi><mo>&lt;</mo><mn>1</mn>"),
    ],
)
def test_a_formula_is_drawn(tex: str, drawn: str) -> None:
    assert mathml(tex) == f'<math display="block">{drawn}</math>'


def test_lines_of_a_formula_stand_below_each_other() -> None:
    assert mathml(r"a &= b \\ c &= d").count("<mtr>") == 2


@pytest.mark.parametrize("tex", [r"\oint", "{a", "a}"])
def test_a_formula_that_is_wrong_is_refused(tex: str) -> None:
    with pytest.raises(ValueError, match="a formula has"):
        mathml(tex)


def test_every_formula_of_the_pages_is_whole() -> None:
    formulas = [tex for path in (ROOT / "docs").rglob("*.md") for tex in FENCE.findall(path.read_text())]
    assert len(formulas) > 8
    for tex in formulas:
        ElementTree.fromstring(mathml(tex))


def test_rows_are_told_apart() -> None:
    table = "| | a |\n|---|---|\n| x, y | 1 |"
    lines = f"## One, two\n\n{table}\n\n{table}\n\n### Three\n\n{table}".splitlines()
    names = [name for _, name in addresses(lines)]
    assert names == ["one-two--x-y", "one-two--2--x-y", "three--x-y"]


def test_there_are_three_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_from_top_to_bottom(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds <= {"stream", "execute_result", "display_data"}
    assert not re.search(r"/(home|root|tmp|work)/", notebook.read_text()), "a path of the machine it was run on"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_page_with_its_pictures(notebook: Path) -> None:
    text, pictures = page(json.loads(notebook.read_text()), notebook.stem)
    assert text.startswith("# ")
    assert pictures
    assert set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)) == set(pictures)
    for link in re.findall(r"\]\(\.\./([^)#]+)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_links_to_a_notebook_lead_to_its_page() -> None:
    assert on_page_markdown("[one](../examples/one.ipynb)") == "[one](examples/one.md)"
    assert on_page_markdown("[one](../../examples/one.ipynb)") == "[one](../examples/one.md)"
