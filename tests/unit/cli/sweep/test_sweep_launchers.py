"""Which launcher a sweep gets by the words of its command."""

from __future__ import annotations

import pytest

from velora.cli.command.arguments import Arguments
from velora.cli.sweep.launchers import named


@pytest.mark.parametrize(
    ("words", "is_named"),
    [
        (["hydra.launcher.n_jobs=1"], True),
        (["hydra.launcher.n_jobs=1", "sweep=joblib"], False),
        (["hydra.launcher.n_jobs=1", "hydra/launcher=joblib"], False),
        (["hydra.sweep.dir=s"], False),
    ],
)
def test_a_setting_of_the_default_launcher_names_it(words: list[str], is_named: bool) -> None:
    found = named(Arguments.parse(["-m", "agent.n_neurons=6,7", *words]))
    assert ("hydra/launcher=processes" in found.overrides) is is_named
