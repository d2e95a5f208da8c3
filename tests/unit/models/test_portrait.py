"""An agent as Python and notebooks show it."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from tests.shared import QUIET
from velora.models import LiquidDDPG, LiquidPPO


class Cells(HTMLParser):
    """The texts of a table, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_an_agent_that_was_not_trained() -> None:
    agent = LiquidDDPG(3, 20, 1, seed=0, tau=0.01, device="cpu", kernel="numpy")
    circuit = "3 inputs -> 12 inter -> 8 command -> 1 motor, 83 synapses"
    assert repr(agent).splitlines() == [
        "LiquidDDPG(3, 20, 1, tau=0.01, seed=0)",
        "  sees      3 numbers",
        "  puts out  1 number, -1 to 1",
        f"  actor     cfc; {circuit}; 1,480 parameters, 1,220 of them wired",
        "  critic    4,545 parameters",
        "  trained   not yet",
        "  computes  numpy kernel, on cpu",
    ]


def test_an_agent_that_was_trained() -> None:
    agent = LiquidDDPG(3, 5, 1, seed=0, warmup_steps=180, device="cpu")
    agent.train("Pendulum-v1", 16, n_episodes=1, **QUIET)
    lines = repr(agent).splitlines()
    assert "  trained      1 episode, 200 steps, 20 updates" in lines
    assert "  puts out     1 number, -2 to 2" in lines
    assert "  environment  Pendulum-v1" in lines


def test_several_seeds_and_choices() -> None:
    agent = LiquidPPO(4, 20, 2, discrete=True, seeds=range(12), cell="gru", device="cpu")
    lines = repr(agent).splitlines()
    assert lines[0] == "LiquidPPO(4, 20, 2, cell='gru', discrete=True, seeds=[0, ..., 11])"
    assert "  puts out  one of 2 actions" in lines
    assert "  seeds     12 side by side: 0 to 11" in lines


def test_the_first_line_makes_one_like_it() -> None:
    agent = LiquidDDPG(3, 6, 1, critic_units=(8, 8), grad_clip=None, seeds=[3, 5], device="cpu")
    again = eval(repr(agent).splitlines()[0], {"LiquidDDPG": LiquidDDPG})
    assert again.settings == agent.settings
    assert again.seeds == agent.seeds


def test_html_says_the_same() -> None:
    agent = LiquidDDPG(3, 5, 1, seed=0, device="cpu")
    agent.environment = {"id": "<b>Mine</b>-v0", "kwargs": {}}
    cells = Cells(agent._repr_html_())
    assert cells.open == []
    assert cells.texts[0] == "LiquidDDPG(3, 5, 1, seed=0)"
    assert cells.texts[1:3] == ["sees", "3 numbers"]
    assert "<b>Mine</b>-v0" in cells.texts


def test_a_half_made_agent_can_be_looked_at() -> None:
    assert repr(LiquidDDPG.__new__(LiquidDDPG)).startswith("<velora.models.ddpg.LiquidDDPG object")


def test_showing_changes_nothing() -> None:
    agent = LiquidDDPG(3, 5, 1, seed=0, device="cpu")
    before = agent.predict(np.zeros(3, np.float32))[0]
    assert not agent.learner.held.are_shown
    repr(agent)
    assert not agent.learner.held.are_shown
    assert np.array_equal(agent.predict(np.zeros(3, np.float32))[0], before)
