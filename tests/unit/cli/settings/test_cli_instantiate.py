from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from velora.callbacks import EarlyStopping
from velora.cli.settings.instantiate import instantiate, takes, targets
from velora.core.errors import SettingError


def make(**entry: Any) -> Any:
    return instantiate("callbacks.mine", OmegaConf.create(entry))


def test_plain_containers_reach_the_class() -> None:
    made = make(_target_="builtins.dict", inner={"values": [1, 2]})
    assert made == {"inner": {"values": [1, 2]}}
    assert type(made["inner"]) is dict
    assert type(made["inner"]["values"]) is list


def test_further_keywords_are_added() -> None:
    node = OmegaConf.create({"_target_": "velora.callbacks.EarlyStopping", "target": 1.0})
    assert isinstance(instantiate("callbacks.e", node, patience=3), EarlyStopping)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"_target_": "velora.callbacks.EarlyStoping"}, "has no class 'EarlyStoping'; did you mean EarlyStopping?"),
        ({"_target_": "velora.callback.EarlyStopping"}, "there is no module 'velora.callback'"),
        ({"_target_": "nowhere_at_all.Mine"}, "there is no module 'nowhere_at_all'"),
        ({"_target_": "Mine"}, "expected module.Class, got 'Mine'"),
        ({"_target_": "os.system", "command": "true"}, "os has no class 'system'"),
        ({"target": 1}, "expected an entry with a class in _target_"),
        (
            {"_target_": "velora.callbacks.EarlyStopping", "patiense": 3},
            "callbacks.mine.patiense: EarlyStopping has no such setting; did you mean patience?",
        ),
        ({"_target_": "velora.callbacks.EarlyStopping", "target": "x"}, "callbacks.mine"),
    ],
)
def test_what_is_wrong_with_an_entry_is_one_line(entry: dict[str, Any], expected: str) -> None:
    with pytest.raises((SettingError, TypeError)) as caught:
        make(**entry)
    if isinstance(caught.value, SettingError):
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_constructor_s_own_message_gets_the_full_name() -> None:
    node = OmegaConf.create({"_target_": "velora.callbacks.EarlyStopping", "patience": 0})
    with pytest.raises(SettingError, match=r"^callbacks\.early_stopping\.patience: expected"):
        instantiate("callbacks.early_stopping", node)
    agent = OmegaConf.create({"_target_": "velora.models.LiquidDDPG", "n_neurons": 1})
    with pytest.raises(SettingError, match=r"^agent\.n_neurons: "):
        instantiate("agent", agent, state_dim=1, action_dim=1, seed=0)


def test_a_bug_in_a_user_s_class_keeps_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buggy_callbacks.py").write_text(
        "class Buggy:\n    def __init__(self, n=1):\n        raise ZeroDivisionError('mine')\n"
        "class Needy:\n    def __init__(self):\n        import a_package_nobody_has\n"
    )
    (tmp_path / "broken_module.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError, match="mine"):
        make(_target_="buggy_callbacks.Buggy")
    with pytest.raises(SettingError, match=r"callbacks\.mine: No module named 'a_package_nobody_has'"):
        make(_target_="buggy_callbacks.Needy")
    with pytest.raises(SettingError, match="needs a package that isn't installed: a_package_nobody_has"):
        make(_target_="broken_module.Anything")


def test_targets_are_found_at_any_depth() -> None:
    node = OmegaConf.create({"_target_": "a.B", "inner": [{"_target_": "c.D"}], "n": 1})
    assert list(targets("x", node)) == [("x._target_", "a.B"), ("x.inner.0._target_", "c.D")]


def test_takes() -> None:
    class Anything:
        def __init__(self, a: int, **more: int) -> None: ...

    class Two:
        def __init__(self, a: int, *, b: int = 1) -> None: ...

    assert takes(Anything) is None
    assert takes(Two) == {"a", "b"}
    assert takes(object) == set()
