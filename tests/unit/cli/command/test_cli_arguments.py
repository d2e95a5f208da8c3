from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from velora.cli.command.arguments import Arguments, quoted, written
from velora.core.errors import SettingError


def test_options_and_settings_may_be_mixed() -> None:
    arguments = Arguments.parse(["a=1", "-m", "b=2", "--cfg", "job", "--info", "c=3", "~d"])
    assert arguments.options == ("-m", "--cfg", "job", "--info")
    assert arguments.overrides == ("a=1", "b=2", "c=3", "~d")
    assert arguments.is_multirun


def test_option_returns_its_value(tmp_path: Path) -> None:
    for words in (["--config-dir", str(tmp_path)], [f"--config-dir={tmp_path}"], ["-cd", str(tmp_path)]):
        assert Arguments.parse(words).option("--config-dir", "-cd") == str(tmp_path)
    assert Arguments.parse([]).option("--config-dir") is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--epochs", "3"], "--epochs: no such option"),
        (["--multirn"], "did you mean --multirun?"),
        (["pendulum"], "pendulum: expected name=value"),
        (["a=["], "a=[: expected name=value"),
        (["--config-dir"], "--config-dir: expected a value after it"),
        (["--config-dir", "/nowhere"], "--config-dir: /nowhere is no directory"),
        (["--experimental-rerun", "x"], "no such option"),
    ],
)
def test_what_cannot_be_read_is_named(words: list[str], expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        Arguments.parse(words)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_returns_the_last_value() -> None:
    arguments = Arguments.parse(["resume=a/b-1", "resume='c d'"])
    assert arguments.text("resume") == "c d"
    assert arguments.text("other") is None
    assert Arguments.parse(["resume=null"]).text("resume") is None
    assert Arguments.parse(["resume=7"]).text("resume") == "7"


def test_text_refuses_several_values() -> None:
    with pytest.raises(SettingError, match="resume: expected one value"):
        Arguments.parse(["resume=a,b"]).text("resume")


VALUES = ["/tmp/a b", 'a"b', "a=b,c", "back\\slash", "ends\\", "${x}"]


@pytest.mark.parametrize(
    "value", [*VALUES, "outputs/run-1_3f", "my:Env-v0", "null", "007", "it's", "[a", "$HOME", "a#b"]
)
def test_what_is_written_for_a_shell_comes_back(value: str) -> None:
    (word,) = shlex.split(written("resume", value), comments=True)
    assert Arguments.parse([word]).text("resume") == value


def test_what_needs_no_quotes_gets_none() -> None:
    assert written("resume", "outputs/2026-11-23/run_3f9a") == "resume=outputs/2026-11-23/run_3f9a"


@pytest.mark.parametrize("value", VALUES)
def test_added_settings_are_taken_literally(value: str) -> None:
    arguments = Arguments.parse(["a=1"]).adding(hydra__run__dir=value)
    assert arguments.text("hydra.run.dir") == value
    assert quoted(value).startswith('"')


def test_renaming_touches_that_setting_only() -> None:
    arguments = Arguments.parse(["checkpoint=a", "checkpoints=b", "c=checkpoint"]).renaming("checkpoint", "x.y")
    assert arguments.overrides == ("x.y=a", "checkpoints=b", "c=checkpoint")
