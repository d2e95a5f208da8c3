"""Every agent of the model zoo loads and earns what the zoo says."""

from __future__ import annotations

import pytest

from benchmarks.learning import zoo
from benchmarks.learning.zoo import EXHIBITS
from velora.core.zoo import PLACE, scores

SCORES = scores()


def test_the_zoo_is_small_and_says_what_it_holds() -> None:
    assert list(SCORES) == [exhibit.name for exhibit in EXHIBITS]
    assert sum(file.stat().st_size for file in PLACE.rglob("*") if file.is_file()) < 1_500_000
    assert (PLACE / "README.md").read_text() == zoo.overview(list(SCORES.values()))


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
@pytest.mark.some(3)
def test_an_agent_of_the_zoo_earns_what_the_zoo_says(exhibit: zoo.Exhibit) -> None:
    study, arm = zoo.find(exhibit)
    stated = SCORES[exhibit.name]
    assert arm.agent is not None
    agent = zoo.load(PLACE / stated.checkpoint, arm.agent)
    # Not to the bit: on another machine an episode goes apart from ours little by little.
    assert zoo.score(agent, study) == pytest.approx(stated.mean_return, rel=0.05)
