"""``velora audit`` and ``velora wiring``: a table, a page that loads nothing, JSON, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.browser import browsing
from tests.integration.conftest import Command
from velora.cli.run import audit as job
from velora.core.zoo import scores


def audited(command: Command, name: str, *words: str) -> tuple[str, Path, dict[str, object]]:
    code, out, err = command("audit", f"zoo:{name}", "seed=1", "out=a.html", *words)
    assert code == 0, err
    last = json.loads(out.splitlines()[-1])
    numbers: dict[str, object] = json.loads(Path(last["numbers"]).read_text())
    return out, Path(last["page"]), numbers


def test_an_audit_is_a_table_a_page_and_numbers(command: Command) -> None:
    out, page, numbers = audited(command, "pendulum-positions", "episodes=2", "max_steps=12")
    assert "at most 1 by theorem" in out
    assert "0 of" in page.read_text()
    assert "velora audit checkpoint=zoo:pendulum-positions seed=1 episodes=2 max_steps=12</code>" in page.read_text()
    assert "synapses between layers, " in out
    assert "default-src 'none'" in page.read_text()
    assert numbers["environment"] == "Pendulum-v1"
    assert [one["name"] for one in numbers["probes"]] == ["angle (rad)", "angular velocity (rad/s)"]  # type: ignore[attr-defined]
    assert len(numbers["removals"]) == 41  # type: ignore[arg-type]
    assert all(one["violations"] == 0 and one["ratio"] >= 1.0 for one in numbers["bounds"])  # type: ignore[attr-defined]
    assert numbers["state"]["largest"] <= numbers["state"]["bound"] == 1.0  # type: ignore[index]
    assert json.dumps(numbers, allow_nan=False)
    assert "velora audit checkpoint=zoo:pendulum-positions seed=1 episodes=2 max_steps=12<" in page.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", scores())
def test_every_agent_of_the_zoo_is_audited(command: Command, name: str, tmp_path: Path) -> None:
    _, page, numbers = audited(command, name, "episodes=2", "max_steps=40")
    assert all(one["violations"] == 0 for one in numbers["bounds"])  # type: ignore[attr-defined]
    for shares in numbers["attribution"].values():  # type: ignore[attr-defined]
        assert sum(shares.values()) == pytest.approx(1.0)
    with browsing(tmp_path / "browser") as browser:
        browser.open(page, dark=True)
        assert browser.errors == []
        assert browser.ask("document.querySelectorAll('section').length") == 6
        assert browser.ask("document.querySelectorAll('figure svg').length") > 10
        assert [one for one in browser.requests if not one.startswith(("file:", "data:"))] == []
        browser.open(page, width=360)
        assert browser.ask("document.documentElement.scrollWidth") <= 360


def test_what_an_audit_cant_do_is_a_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "audit", None)  # all of it is told before the episodes
    Path("taken").touch()
    Path("directory.html").mkdir()
    Path("numbers.json").mkdir()
    for words, said in (
        (["out=taken/audit.html"], "taken/audit.html can't be written (Not a directory)"),
        (["out=directory.html"], "directory.html can't be written (Is a directory)"),
        (["out=numbers.html"], "numbers.json can't be written (Is a directory)"),
        (["out=a.pdf"], "out: expected a page that ends in .html, got a.pdf"),
        (["episodes=0"], "episodes: expected at least 1, got 0"),
    ):
        code, _, err = command("audit", "zoo:pendulum", *words)
        assert code == 2
        assert said in err


def test_help_teaches(command: Command) -> None:
    for name in ("audit", "wiring"):
        code, out, _ = command(name, "--help")
        assert code == 0
        assert f"velora {name} zoo:pendulum" in out


def test_a_circuit_is_drawn(command: Command) -> None:
    code, out, err = command("wiring", "zoo:pendulum", "out=pictures/w.svg")
    assert code == 0, err
    assert "3 sensory, 12 inter, 8 command, 1 motor: " in out
    assert " synapses between layers\n" in out
    drawn = ElementTree.fromstring(Path("pictures/w.svg").read_text())
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}circle")) == 24


def test_a_circuit_is_a_picture_of_pixels(command: Command) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    code, _, err = command("wiring", "zoo:pendulum", "out=w.png")
    assert code == 0, err
    with Image.open("w.png") as picture:
        assert picture.width > 1500
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 50


def test_other_pictures_and_words_are_refused(command: Command) -> None:
    for words, said in (
        (["zoo:pendulum", "out=w.pdf"], "out: expected a file that ends in .svg or .png, got w.pdf"),
        (["zoo:pendulum", "zoo:cartpole"], "wiring: expected one checkpoint or run, got zoo:pendulum zoo:cartpole"),
        (["zoo:pendulum", "oot=w.png"], "oot=w.png: no such setting; did you mean out"),
        (["out=w.png"], "expected at least one run directory"),
    ):
        code, _, err = command("wiring", *words)
        assert code == 2
        assert said in err, err
