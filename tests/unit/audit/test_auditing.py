"""An audit as a whole, small; its text and its numbers."""

from __future__ import annotations

import json
import re

import gymnasium as gym
import numpy as np
import pytest

from velora.audit import report
from velora.audit.auditing import audit
from velora.audit.effects import paired_interval
from velora.audit.findings import Audit
from velora.audit.page import _axes, audit_page
from velora.audit.pictures import effects, plane, strip
from velora.core.errors import ExportError, SettingError
from velora.export.wiring import wiring_of
from velora.models import LiquidDDPG, LiquidPPO


@pytest.fixture(scope="module")
def found() -> Audit:
    agent = LiquidPPO(4, 10, 2, discrete=True, seed=0, device="cpu")
    return audit(agent, "CartPole-v1", episodes=2, seed=1, max_steps=15)


def test_an_audit_of_choices_is_whole(found: Audit) -> None:
    assert len(found.removals) == len(found.neurons) == sum(layer.n for layer in found.policy.layers)
    assert found.components.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found.attribution.sum(1), 1.0)
    assert found.sources[-1] == "memory"
    assert [one.name for one in found.probes] == [
        "cart position (m)",
        "cart velocity (m/s)",
        "pole angle (rad)",
        "pole velocity (rad/s)",
    ]
    assert all(one.observation == pytest.approx(1.0) for one in found.probes)  # a CartPole shows everything
    assert found.largest_state <= found.bound_of_state == 1.0
    assert {one.looseness.violations for one in found.bounds} == {0}
    assert all(one.looseness.certain <= one.looseness.steady for one in found.bounds)
    assert found.slope[0] >= found.slope[1] > 0.0


def test_shares_are_a_row_for_each_source_by_name() -> None:
    agent = LiquidPPO(4, 10, 2, discrete=True, seed=0, device="cpu")
    text = str(audit_page(audit(agent, "CartPole-v1", episodes=1, seed=1, max_steps=5), wiring_of(agent)))
    heads = re.search(r"<thead><tr><th[^>]*>comes from</th>(.*?)</tr>", text)
    assert heads is not None
    assert re.findall(r">([^<]+)</th>", heads[1]) == ["output 1", "output 2"]
    first = [row.split("</td>")[0].rpartition(">")[2] for row in text[heads.end() :].split("<tr>")[1:6]]
    assert first == ["cart position", "cart velocity", "pole angle", "pole velocity", "memory"]


def test_neurons_are_drawn_over_observations_that_vary() -> None:
    switch, varied = np.repeat([0.0, 1.0], 20), np.arange(40.0)
    assert _axes(np.stack([switch, varied, switch, varied], 1)) == [1, 3]
    assert _axes(np.stack([switch, varied], 1)) == [1, 0]
    assert _axes(switch[:, None]) == [0, 0]


def test_its_text_and_its_numbers_say_the_same(found: Audit) -> None:
    text, numbers = report.table(found), report.document(found)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert f"{numbers['sizes']['parameters']:,} parameters" in text
    assert "at most 1 by theorem" in text
    assert "one choice is certain in" in text
    assert text.count("decides every") == 6


def test_a_bound_that_needs_a_shortest_step_says_so() -> None:
    agent = LiquidPPO(4, 6, 2, discrete=True, cell_mode="pure", seed=0, device="cpu")
    found = audit(agent, "CartPole-v1", episodes=1, seed=1, max_steps=5)
    assert "for steps of at least dt=1, " in report.table(found)
    assert report.document(found)["state"]["from_dt"] == 1.0


def test_intervals_are_those_of_students_t() -> None:
    low, high = paired_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2.0 - 4.3027 / 3**0.5, 2.0 + 4.3027 / 3**0.5))
    n = 21
    differences = np.arange(-10.0, 11.0)
    assert paired_interval(differences)[1] == pytest.approx(2.0860 * differences.std(ddof=1) / n**0.5, rel=1e-4)
    assert np.isnan(paired_interval(np.array([1.0]))).all()
    assert paired_interval(np.zeros(4)) == (0.0, 0.0)


def test_what_cant_be_audited_is_refused() -> None:
    with pytest.raises(SettingError, match="audit: expected episodes of at least 1, got 0"):
        audit(LiquidDDPG(3, 10, 1, seed=0), "Pendulum-v1", episodes=0)
    with pytest.raises(ExportError, match="2 seeds"):
        audit(LiquidDDPG(3, 10, 1, seeds=[0, 1]), "Pendulum-v1", episodes=1)


def test_a_name_longer_than_an_axis_is_cut() -> None:
    x = np.arange(4.0)
    drawn = plane(x, x, x, name="inter 1", across="arm.velocity_of_the_carriage[0]", up="arm.position[1]")
    assert ">…city_of_the_carriage[0]<" in drawn
    assert ">arm.position[1]<" in drawn
    assert "arm.velocity_of_the_carriage[0] from " in drawn


def test_pictures_have_names_and_the_page_s_colours(found: Audit) -> None:
    drawn = [
        plane(np.arange(5.0), np.ones(5), np.array([1.0, -1.0, 0.5, 0.0, 1.0]), name="inter 1", across="a", up="b"),
        strip(np.array([[1.0, np.nan], [10.0, np.nan]]), ["x", "y"], title="Time constants", across="steps"),
        effects(found.disturbances, title="Disturbed"),
    ]
    for svg in drawn:
        assert svg.startswith("<svg")
        assert "<title>" in svg
        assert "var(--" in svg
        assert "#" not in svg
    assert ">x<" in drawn[1]
    assert ">y<" not in drawn[1]  # it has no time constant


def test_observations_of_an_environment_are_made_flat_as_in_training() -> None:
    env = gym.make("FrozenLake-v1", max_episode_steps=5)
    agent = LiquidPPO(16, 8, 4, discrete=True, seed=0, device="cpu")
    assert audit(agent, env, episodes=1, max_steps=3).environment == "FrozenLake-v1"
    env.close()
