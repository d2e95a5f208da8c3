from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from velora.cli.settings.schema import check
from velora.core.errors import SettingError


@dataclass
class Inner:
    rate: float = 0.1
    count: int = 1


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    free: dict[str, Any] = field(default_factory=dict)
    name: str | None = None


def settings(**changes: Any) -> DictConfig:
    cfg: DictConfig = OmegaConf.structured(Outer)
    with open_dict(cfg):
        for name, value in changes.items():
            OmegaConf.update(cfg, name.replace("__", "."), value, force_add=True)
    return cfg


def test_settings_that_fit_pass() -> None:
    cfg = settings(name="a", free__anything={"at": "all"}, inner__count="${inner.rate}")
    with pytest.raises(OmegaConfBaseException, match="could not be converted to Integer"):
        check(cfg)
    cfg.inner.count = 3
    check(cfg)
    assert OmegaConf.to_container(cfg) == {
        "inner": {"rate": 0.1, "count": 3}, "free": {"anything": {"at": "all"}}, "name": "a"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"inner__rat": 1}, "inner.rat: no such setting; did you mean inner.rate?"),
        ({"extra": 1}, "extra: no such setting; see --help"),
        ({"name": "???"}, "name: needs a value; give it as name=..."),
    ],
)
def test_slips_are_named(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingError) as caught:
        check(settings(**changes))
    assert expected in str(caught.value)


@pytest.mark.parametrize("reference", ["${nowhere}", "${name}"])
def test_references_are_followed(reference: str) -> None:
    with pytest.raises(OmegaConfBaseException):
        check(settings(name="text", inner__count=reference))
