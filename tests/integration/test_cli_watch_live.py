"""``velora watch live=true``: policy and physics in one page, pushed, blinded and cut in a real browser."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import velora
from tests.browser import Browser, browsing
from tests.integration.conftest import Command
from tests.unit.watch.golden import agents
from velora.export.describe import describe
from velora.export.json_form import json_form
from velora.models import Agent
from velora.watch.live import Lane, live_page

MOST_BYTES = 1_000_000
LANE = "velora.lanes[0]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:  # type: ignore[misc]
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


def page_of(folder: Path, *names: str) -> Path:
    """Write the page of agents of the zoo."""
    text = live_page(*(Lane.of(velora.zoo(name, device="cpu"), f"zoo:{name}") for name in names))
    assert len(text) < MOST_BYTES
    path = folder / "live.html"
    path.write_text(text)
    return path


def stop(browser: Browser) -> None:
    """Let time pass only when the test says so."""
    browser.ask("velora.page.play(false)")


def ticks(browser: Browser, n: int) -> None:
    browser.ask(f"for (let k = 0; k < {n}; k++) velora.page.tick()")


def text(browser: Browser, selector: str) -> str:
    return str(browser.ask(f"document.querySelector('{selector}').textContent"))


def slide(browser: Browser, name: str, value: float) -> str:
    """Move a slider, and return what is written beside it."""
    at = f"document.querySelector('.{name} input')"
    browser.ask(f"{at}.value = {value}; {at}.dispatchEvent(new Event('input'))")
    return text(browser, f".{name} output")


def click_neuron(browser: Browser, neuron: int) -> None:
    """Click where the picture of the first circuit has a neuron."""
    browser.ask("document.querySelector('.circuit canvas').scrollIntoView({block: 'center'})")
    box = "document.querySelector('.circuit canvas').getBoundingClientRect()"
    x, y = browser.ask(f"(p => [p.x + {box}.x, p.y + {box}.y])(velora.page.views[0].layout.places[{neuron}])")
    browser.click(x, y)


def far(browser: Browser, agent: Agent, steps: int = 50) -> float:
    """Return the largest difference between what the browser computes and ``predict``, along random steps.

    It is relative to what is larger than 1.
    """
    form, numbers, hidden = describe(agent), np.random.default_rng(2), None
    rows: list[Any] = []
    expected: list[Sequence[float]] = []
    for _ in range(steps):
        obs = numbers.normal(size=form.n_observations).astype(np.float32)
        dt = float(np.float32(numbers.uniform(0.2, 3.0)))
        action, hidden = agent.predict(obs, hidden, dt=dt)
        rows.append([obs.tolist(), dt])
        expected.append([*np.ravel(action).tolist(), *np.ravel(np.asarray(hidden)).tolist()])
    found = browser.ask(
        f"""(() => {{ const policy = new velora.Policy({json.dumps(json_form(form))}); let state = policy.begin();
        return {json.dumps(rows)}.map(([obs, dt]) => {{ const step = policy.step(obs, state, dt);
        state = step.state; return [...step.action, ...state]; }}) }})()"""
    )
    right = np.array(expected)
    return float((np.abs(np.array(found) - right) / np.maximum(1.0, np.abs(right))).max())


def test_a_visitor_pushes_blinds_and_cuts(tmp_path: Path, browser: Browser) -> None:
    browser.open(page_of(tmp_path, "pendulum"), width=1200, height=1000)
    assert far(browser, velora.zoo("pendulum", device="cpu")) < 1e-5
    _is_played(browser)
    _is_pushed(browser)
    _is_slid(browser)
    _is_switched_off(browser)
    _is_cut(browser)
    assert browser.errors == []
    assert {one.partition(":")[0] for one in browser.requests} == {"file"}


def _is_played(browser: Browser) -> None:
    taken = browser.ask(f"{LANE}.taken")
    assert text(browser, ".play") == "Stop"
    deadline = time.monotonic() + 30
    while browser.ask(f"{LANE}.taken") == taken:  # the page's own clock
        assert time.monotonic() < deadline, "nothing moves"
    browser.press(" ")
    assert text(browser, ".play") == "Play"
    taken = browser.ask(f"{LANE}.taken")
    browser.press(".")
    assert browser.ask(f"{LANE}.taken") == taken + 1
    browser.ask("velora.page.begin(5)")
    ticks(browser, 198)
    assert not browser.ask(f"{LANE}.isOver")
    ticks(browser, 2)
    assert browser.ask(f"{LANE}.returns.at(-1)") == pytest.approx(-150, abs=150)
    assert browser.ask(f"{LANE}.isOver")
    ticks(browser, 20)
    assert browser.ask(f"{LANE}.taken") < 20, "the next episode has begun"


def _is_pushed(browser: Browser) -> None:
    """A hand on the keys, or in the picture, moves the pendulum elsewhere than it went by itself."""
    went = []
    box = json.loads(
        browser.ask("scrollTo(0, 0), JSON.stringify(document.querySelector('.task canvas').getBoundingClientRect())")
    )
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for hand in ("none", "key", "pointer"):
        browser.ask("velora.page.begin(5)")
        if hand == "key":
            browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
        if hand == "pointer":
            browser.pointer("mousePressed", *middle)
            browser.pointer("mouseMoved", middle[0] - 0.45 * box["width"], middle[1])
        ticks(browser, 10)
        went.append(browser.ask(f"{LANE}.state[0]"))
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="ArrowRight")
        browser.pointer("mouseReleased", *middle)
        ticks(browser, 1)
        assert browser.ask("velora.page.hand.pull.x") == 0
    assert abs(went[1] - went[0]) > 0.1
    assert abs(went[2] - went[0]) > 0.1
    assert abs(went[2] - went[1]) > 0.1


def _is_slid(browser: Browser) -> None:
    assert slide(browser, "dt", 3) == "3 control steps"
    assert slide(browser, "jitter", 2) == "2 more"
    ticks(browser, 60)
    times = browser.ask(f"[...new Set({LANE}.lived.arrays.dt.values.slice(-10))].sort()")
    assert times == [3, 4, 5]
    assert slide(browser, "noise", 0.5) == "0.50"
    assert slide(browser, "dropout", 1) == "100 % of the time"
    ticks(browser, 12)
    assert browser.ask(f"[...{LANE}.lived.arrays.observation.values.slice(-3)]") == [0, 0, 0]
    browser.press("t")
    assert text(browser, ".dt output") == "1 control step"
    ticks(browser, 12)
    assert browser.ask(f"{LANE}.lived.arrays.dt.values.at(-1)") == 1
    assert browser.ask(f"{LANE}.lived.arrays.observation.values.slice(-3).every(x => x !== 0)")


def _is_switched_off(browser: Browser) -> None:
    browser.ask("document.querySelector('.sensors input[value=speed]').click()")
    assert text(browser, ".told") == "speed is off"
    ticks(browser, 3)
    cos, sin, speed = browser.ask(f"[...{LANE}.lived.arrays.observation.values.slice(-3)]")
    assert (cos != 0, sin != 0, speed) == (True, True, 0)
    click_neuron(browser, 2)
    assert text(browser, ".told") == "speed is on"
    assert browser.ask("document.querySelector('.sensors input[value=speed]').checked")
    browser.ask("document.querySelector('.sensors input[value=\"log dt\"]').click()")
    assert not browser.ask("velora.page.hand.tellsTime")
    browser.ask("velora.page.asTrained()")
    assert browser.ask("velora.page.hand.tellsTime")


def _is_cut(browser: Browser) -> None:
    click_neuron(browser, 20)
    assert text(browser, ".told") == "command 6 is cut"
    ticks(browser, 2)
    assert browser.ask(f"{LANE}.lived.arrays.activity.values.slice(-21)[17]") == 0
    click_neuron(browser, 20)
    assert text(browser, ".told") == "command 6 is restored"
    ticks(browser, 2)
    assert browser.ask(f"{LANE}.lived.arrays.activity.values.slice(-21)[17]") != 0
    choice = "document.querySelector('.neuron')"
    browser.ask(f"{choice}.value = '0 4'; {choice}.dispatchEvent(new Event('change'))")
    assert browser.ask("document.querySelector('.records .own').clientHeight") > 100
    browser.press("c")
    assert text(browser, ".told") == "inter 2 is cut"
    assert text(browser, ".cut") == "Restore"
    browser.ask("document.querySelector('.restore').click()")
    assert browser.ask(f"{LANE}.cut.size") == 0


def test_a_page_is_written_or_says_why_not(command: Command) -> None:
    code, out, err = command("watch", "zoo:pendulum", "live=true", "beside=zoo:pendulum-positions", "out=live.html")
    assert code == 0, err
    told = json.loads(out.splitlines()[-1])
    assert told["live"] == ["zoo:pendulum", "zoo:pendulum-positions"]
    written = Path(told["page"]).read_text()
    assert len(written) < MOST_BYTES
    assert "velora watch checkpoint=zoo:pendulum live=true beside=zoo:pendulum-positions" in written
    for words, said in (
        (("zoo:inverted-pendulum", "live=true"), "MountainCarContinuous, not InvertedPendulum-v5; leave live=true out"),
        (("zoo:pendulum", "beside=zoo:pendulum"), "beside: policies stand side by side in a live page; add live=true"),
        (
            ("zoo:pendulum", "live=true", "beside=zoo:cartpole,zoo:pendulum"),
            "do the same task, got Pendulum and CartPole",
        ),
        (("zoo:pendulum", "live=true", "episodes=2"), "a page shows 1, got 2"),
    ):
        code, _, err = command("watch", *words)
        assert (code, said in err.splitlines()[-1]) == (2, True), err


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_browser_computes_what_predict_does(tmp_path: Path, browser: Browser) -> None:
    browser.open(page_of(tmp_path, "pendulum"))
    stop(browser)
    for name, agent in agents().items():
        assert far(browser, agent) < 1e-5, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "returned"),
    [
        (("pendulum", "pendulum-positions", "pendulum-irregular-time"), (-500, 0)),
        (("cartpole", "cartpole-positions"), (300, 500)),
        (("mountain-car",), (85, 100)),
    ],
)
def test_policies_stand_side_by_side(
    names: Sequence[str], returned: tuple[float, float], tmp_path: Path, browser: Browser
) -> None:
    browser.open(page_of(tmp_path, *names), width=1400, height=1000, dark=True)
    stop(browser)
    assert browser.ask("[...document.querySelectorAll('.lane h2')].map(h => h.textContent)") == [
        f"zoo:{name}" for name in names
    ]
    browser.ask("velora.page.begin(11)")
    begun = browser.ask("velora.lanes.map(lane => String(lane.before))")
    assert len(set(begun)) == 1, "all begin alike"
    browser.ask("while (!velora.lanes.every(lane => lane.isOver)) velora.page.tick()")
    earned = browser.ask("velora.lanes.map(lane => lane.returns.at(-1))")
    assert all(returned[0] <= one <= returned[1] for one in earned), earned
    if len(names) > 1:  # a neuron of one is cut, a sensor of all is switched off
        browser.ask("velora.page.toggle(velora.lanes[1], velora.lanes[1].lived.n_sensory)")
        assert browser.ask("velora.lanes.map(lane => lane.cut.size)")[:2] == [0, 1]
    browser.ask("velora.page.show(1)")
    assert browser.errors == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (820, False), (1600, True)])
@pytest.mark.parametrize("names", [("cartpole",), ("pendulum", "pendulum-positions")])
def test_nothing_is_wider_than_the_window(
    names: Sequence[str], width: int, dark: bool, tmp_path: Path, browser: Browser
) -> None:
    browser.open(page_of(tmp_path, *names), width=width, height=800, dark=dark)
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask("[...document.querySelectorAll('canvas[role=img]')].every(c => c.ariaLabel)")
    named = "e => e.labels?.length || e.ariaLabel || e.textContent.trim()"
    assert browser.ask(f"[...document.querySelectorAll('button, input, select')].every({named})")
    assert browser.errors == []


@pytest.mark.slow
def test_a_finger_pushes_and_motion_can_be_unwanted(tmp_path: Path, browser: Browser) -> None:
    page = page_of(tmp_path, "cartpole")
    browser.open(page, width=390, height=800, still=True)
    assert text(browser, ".play") == "Play"
    browser.ask("document.querySelector('.task canvas').scrollIntoView({block: 'center'})")
    box = json.loads(browser.ask("JSON.stringify(document.querySelector('.task canvas').getBoundingClientRect())"))
    at = {"x": box["x"] + 0.5 * box["width"], "y": box["y"] + 0.3 * box["height"]}
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[at])
    browser.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{**at, "x": at["x"] + 60}])
    ticks(browser, 1)
    assert browser.ask("velora.page.hand.pull.x") > 0.3
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    ticks(browser, 1)
    assert browser.ask("velora.page.hand.pull.x") == 0
    assert browser.errors == []
