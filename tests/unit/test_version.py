"""The version has one source, and it and the name of the package collide with nobody's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from velora import __version__
from velora.core import extras

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RELEASE = re.sub(r"\.dev\d+$", "", __version__)


def test_the_wheel_takes_its_version_from_the_package() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "velora.core.version.__version__"}


def test_it_is_above_those_of_the_other_code_base() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", RELEASE)
    assert tuple(map(int, RELEASE.split("."))) > (0, 2, 0)
    assert PROJECT["project"]["name"] == extras.DISTRIBUTION != "velora"


def test_the_newest_entry_of_the_changelog_is_of_this_version() -> None:
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == RELEASE


def test_a_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == RELEASE
    assert citation["license"] == PROJECT["project"]["license"]
