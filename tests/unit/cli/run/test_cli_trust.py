"""What a run's own config.yaml may decide, and what has to be said again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from velora.cli.run.trust import foreign_code, foreign_places

CSV = "lightning.pytorch.loggers.CSVLogger"
OURS = "velora.training.loggers.csv_logger.CSVLogger"


def codes(**groups: Any) -> dict[str, str]:
    return dict(foreign_code({"env": {"id": "Pendulum-v1"}, **groups}))


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("callbacks", "velora.callbacks.base.inspect"),
        ("callbacks", "velora.callbacks.checkpoint_home.FileLock"),
        ("callbacks", "velora.callbacks.EarlyStopping.__init__"),
        ("callbacks", "lightning.pytorch.callbacks.model_checkpoint.os.system"),
        ("callbacks", "velora.models.LiquidDDPG"),
        ("logger", "lightning.pytorch.loggers.tensorboard.SummaryWriter"),
        ("logger", "lightning.pytorch.loggers.WandbLogger"),
        ("logger", "velora.training.loggers.trackio_logger.TrackioLogger"),
        ("logger", "velora.callbacks.EarlyStopping"),
    ],
)
def test_only_what_a_package_offers_is_made_unasked(group: str, path: str) -> None:
    assert codes(**{group: {"x": {"_target_": path}}}) == {f"{group}.x._target_": path}


def test_what_is_offered_needs_no_word() -> None:
    assert not codes(
        agent={"_target_": "velora.models.LiquidTD3"},
        callbacks={"a": {"_target_": "velora.callbacks.EarlyStopping"}, "b": None},
        logger={
            "csv": {"_target_": CSV},
            "ours": {"_target_": OURS},
            "tb": {"_target_": "lightning.pytorch.loggers.TensorBoardLogger"},
        },
    )


@pytest.mark.parametrize("inside", ["velora.callbacks.EarlyStopping", "velora.callbacks.base.inspect.os.system"])
def test_a_class_inside_an_entry_is_never_made_unasked(inside: str) -> None:
    """Hydra would walk from a trusted module to any other."""
    entry = {"_target_": "velora.callbacks.EarlyStopping", "target": {"_target_": inside, "_args_": ["true"]}}
    assert codes(callbacks={"x": entry}) == {"callbacks.x.target._target_": inside}
    assert codes(agent={"_target_": "velora.models.LiquidTD3", "cell": {"_target_": inside}})


def test_environments_import_nothing_unasked() -> None:
    found = dict(
        foreign_code({"env": {"id": "a:B-v0", "kwargs": {"env_id": "evil:X", "deep": [{"y": "m:Z"}], "n": 1}}})
    )
    assert found == {"env.id": "a:B-v0", "env.kwargs.env_id": "evil:X", "env.kwargs.deep.0.y": "m:Z"}


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"save_dir": "/etc"}, "save_dir"),
        ({"save_dir": "logs"}, "save_dir"),
        ({"save_dir": "../x"}, "save_dir"),
        ({"name": "../../x"}, "name"),
        ({"name": "a/../../../x"}, "name"),
        ({"version": "~/x"}, "version"),
        ({"prefix": "file:///etc"}, "prefix"),
        ({"name": "C:\\x"}, "name"),
        ({"name": "\\\\host\\x"}, "name"),
        ({"deep": {"root_dir": "x"}}, "deep.root_dir"),
    ],
)
def test_loggers_stay_inside_of_the_run(tmp_path: Path, entry: dict[str, Any], where: str) -> None:
    for group in ("logger", "callbacks"):
        settings = {group: {"x": {"_target_": CSV, **entry}}, "env": {"id": "a"}}
        assert [name for name, _ in foreign_places(settings, tmp_path)] == [f"{group}.x.{where}"]


def test_places_inside_of_the_run_need_no_word(tmp_path: Path) -> None:
    inside = {"_target_": CSV, "save_dir": str(tmp_path / "logs"), "name": "csv", "version": "a.b", "flush": 3}
    assert not list(foreign_places({"logger": {"csv": inside}, "callbacks": {}, "env": {"id": "a"}}, tmp_path))
    frozen = {"env": {"id": "FrozenLake-v1", "kwargs": {"desc": ["SF", "FG"], "map_name": "4x4"}}}
    assert not list(foreign_places(frozen, tmp_path))
    assert [name for name, _ in foreign_places({"env": {"kwargs": {"xml_file": "/x.xml"}}}, tmp_path)] == [
        "env.kwargs.xml_file"
    ]
