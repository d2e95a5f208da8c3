"""Short keys for classes."""

from __future__ import annotations

import doctest

import pytest

from velora.checkpoint import Registry, registry
from velora.core.errors import CheckpointError, SettingError


def test_the_example_in_the_docstring() -> None:
    results = doctest.testmod(registry)
    assert results.attempted > 0
    assert results.failed == 0


def test_register_and_get() -> None:
    cells = Registry[type]("cell")

    @cells.register("cfc")
    class CfC: ...

    @cells.register("ltc")
    class LTC: ...

    assert cells.get("cfc") is CfC
    assert list(cells) == ["cfc", "ltc"]
    assert "ltc" in cells
    assert "gru" not in cells


def test_an_unknown_key_names_the_known_ones() -> None:
    cells = Registry[type]("cell")
    with pytest.raises(SettingError, match=r"cell: unknown key 'cfc'; register .* Known: none"):
        cells.get("cfc")
    cells.register("cfc")(int)
    cells.register("ltc")(str)
    with pytest.raises(CheckpointError, match=r"unknown key 'cfd'; did you mean 'cfc'\? Known: cfc, ltc"):
        cells.get("cfd", error=CheckpointError)
    with pytest.raises(SettingError) as error:
        cells.get("os.system\n" * 100)
    assert "\n" not in str(error.value)


def test_a_key_belongs_to_one_class() -> None:
    cells = Registry[type]("cell")
    cells.register("cfc")(int)
    cells.register("cfc")(int)
    with pytest.raises(SettingError, match="already belongs to"):
        cells.register("cfc")(str)
    assert cells.get("cfc") is int


def test_a_class_defined_again_replaces_itself() -> None:
    """As when a notebook cell runs twice."""
    cells = Registry[type]("cell")

    def define() -> type:
        class Mine: ...

        return cells.register("mine")(Mine)

    first, second = define(), define()
    assert first is not second
    assert cells.get("mine") is second


@pytest.mark.parametrize("key", ["", "1a", "a b", "../a", "a" * 65, "a\n"])
def test_malformed_keys(key: str) -> None:
    with pytest.raises(SettingError, match="expected a short key"):
        Registry[type]("cell").register(key)
