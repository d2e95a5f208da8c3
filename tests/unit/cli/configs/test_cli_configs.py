"""``velora configs``: what there is to choose and to set, from where it is defined."""

from __future__ import annotations

from pathlib import Path

import pytest

from velora.cli.command.compose import config_dir
from velora.cli.configs.documented import documented_groups, explained_settings, first_sentence, option_comment
from velora.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["configs", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_every_group_and_option_is_documented() -> None:
    groups = documented_groups()
    assert {"agent", "env", "env/mask", "callbacks", "experiment"} <= {group.name for group in groups}
    for group in groups:
        assert group.meaning, group.name
        for option in group.options:
            has_file = (config_dir() / group.name / f"{option}.yaml").is_file()
            assert bool(option_comment(group.name, option)) == has_file, (group.name, option)


def test_the_overview_marks_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    assert "agent           what learns: the algorithm, its policy and its critic" in lines
    assert "                liquid_ddpg *, liquid_ppo, liquid_redq, liquid_sac, liquid_td3" in lines
    assert max(map(len, lines)) <= 120


def test_a_group_lists_options_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "env").splitlines()
    assert "hopper          Hop on one leg." in lines
    assert "pendulum *      Swing a pendulum up and hold it there." in lines
    assert "    n_episodes: 40              # episodes of a run" in lines
    assert not [line for line in lines if "drop:" in line]  # of env/mask, which is a group of its own


def test_an_option_is_shown_with_its_own_settings(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "agent=liquid_td3").splitlines()
    assert "  _target_: velora.models.LiquidTD3" in lines
    assert [line for line in lines if line.startswith("  policy_delay: 2  ")]
    assert [line for line in said(capsys, "env/mask=velocity").splitlines() if line.startswith("    drop: velocity  ")]


def test_arguments_of_callbacks_are_explained_by_their_docstring() -> None:
    text = explained_settings("callbacks", "early_stopping")
    assert '    monitor: window             # "window" or "evaluation"' in text.splitlines()


def test_an_experiment_shows_what_it_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert "  - override /env/mask: velocity" in said(capsys, "experiment=memory").splitlines()


def test_files_of_ones_own_are_among_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine.yaml").write_text("# Fill a tank. Slowly.\nid: my_module:Tank-v0\n")
    assert "mine            Fill a tank." in said(capsys, "--config-dir", str(tmp_path), "env").splitlines()
    assert "  id: my_module:Tank-v0 " in said(capsys, f"--config-dir={tmp_path}", "env=mine")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hoper"], "hoper: no such group; did you mean env=hopper?"),
        (["enf"], "enf: no such group; did you mean env?"),
        (["env=hoper"], "env=hoper: no such option; did you mean hopper?"),
        (["env", "agent"], "expected one group, got env agent"),
        (["--config-dir"], "--config-dir: expected a value after it"),
        (["--config-dir", "nowhere"], "--config-dir: nowhere is no directory"),
        (["--all"], "--all: no such option"),
        (["schema=/dev/null/s.json"], "/dev/null/s.json can't be written (File exists)"),
        (["experiment", "schema=s.json"], "experiment: its files set what they like"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_a_sentence_ends_at_its_full_stop() -> None:
    assert first_sentence("Known for v5. Of any other drop 2.5 of them.") == "Known for v5."
