"""A stranger's config.yaml: plain values, or one line, in a moment and without memory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from velora.cli.run import run_directory
from velora.cli.settings import plain_yaml
from velora.core.errors import RunDirectoryError

BOMB = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x]"] + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)
REFUSED = {
    "aliases that stand for gigabytes": (BOMB, "an anchor or an alias"),
    "an anchor alone": ("a: &x 1", "an anchor or an alias"),
    "a recursive alias": ("a: &a [*a]", "an anchor or an alias"),
    "a reference": ("a: ${b}\nb: 1", "a reference"),
    "nested references": ("a: " + "${b:" * 40 + "1" + "}" * 40, "a reference"),
    "the environment": ("a: ${oc.env:HOME}", "a reference"),
    "a reference in a key": ("${oc.env:HOME}: 1", "a reference"),
    "an escaped reference": ("a: \\${b}", "a reference"),
    "a tag": ("a: !!python/object/apply:os.getcwd []", r"a tag \(!\)"),
    "a path": ("a: !!python/object/apply:pathlib.PosixPath [/etc]", r"a tag \(!\)"),
    "depth": ("a: " + "[" * 500 + "]" * 500, "more than 64 levels of nesting"),
    "great depth": ("[" * 60_000, "more than 64 levels of nesting"),
    "length": ("a: 1\n" * 20_000, "expected at most 65536 bytes, found 100000"),
    "a key twice": ("a: 1\na: 2", "can't be read: while constructing a mapping"),
    "a number of 5,000 digits": ("a: " + "9" * 5_000, "can't be read"),
    "half a document": ("a: [", "can't be read"),
    "two documents": ("a: 1\n---\nb: 1", "can't be read"),
    "a list": ("- 1", "holds no settings"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_a_moment(tmp_path: Path, name: str) -> None:
    text, told = REFUSED[name]
    (tmp_path / "config.yaml").write_text(text)
    began = time.process_time()
    with pytest.raises(RunDirectoryError, match=told) as error:
        run_directory.load_settings(tmp_path)
    assert time.process_time() - began < 1.0
    assert "\n" not in str(error.value)
    assert str(tmp_path / "config.yaml") in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(RunDirectoryError, match="can't be read"):
        run_directory.load_settings(tmp_path)


def test_a_link_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.yaml").write_text("a: 1")
    (tmp_path / "config.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(RunDirectoryError, match="a symbolic link"):
        run_directory.load_settings(tmp_path)


@pytest.mark.slow
def test_the_largest_text_that_is_read_takes_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a:\n" + "- 1\n" * (plain_yaml.MOST_BYTES // 4 - 1))
    began = time.process_time()
    assert len(plain_yaml.load(path).a) == plain_yaml.MOST_BYTES // 4 - 1
    assert time.process_time() - began < 10.0  # one second on a quiet machine


def test_values_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: 1e-3\nb: {c: null, d: [true, 'x: y', \"z\"], 5: -0.0}\ne: '123'\n")
    assert plain_yaml.load(path) == {"a": 0.001, "b": {"c": None, "d": [True, "x: y", "z"], 5: -0.0}, "e": "123"}
