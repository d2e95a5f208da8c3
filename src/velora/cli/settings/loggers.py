"""Make the loggers of a run from its settings, or plan those that the run has to complete."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from velora.cli.settings.instantiate import check_keywords, instantiate, locate_class, named_keywords
from velora.cli.settings.objects import entries
from velora.training.loggers.asked import plan
from velora.training.loggers.kinds import named_kind_of


def make_loggers(cfg: DictConfig, run_dir: Path, *, group: str | None = None) -> list[Any]:
    """Make the loggers, or plan those that Velora knows by name: the run completes their settings and makes them.

    Loggers of the user's own write into the run directory, if they name ``save_dir`` among their settings and it isn't
    given.

    Args:
        cfg: the entries.
        run_dir: of the run.
        group: the sweep that the run is a job of, if any.

    Raises:
        SettingError: if an entry isn't a logger, or its package isn't installed.
    """
    made = []
    for name, node in entries("logger", cfg):
        target = locate_class(name, node)
        kind = named_kind_of(target)
        if kind is None:
            needs_dir = "save_dir" in named_keywords(target)[0] and "save_dir" not in node
            made.append(instantiate(name, node, **({"save_dir": str(run_dir)} if needs_dir else {})))
        else:
            made.append(
                plan(kind, _given(name, node, target), label=name, make=partial(_make, name, node), group=group)
            )
    return made


def _given(name: str, node: DictConfig, target: type) -> dict[str, Any]:
    """Return the keywords of an entry, checked; ``log_model`` is Velora's own."""
    own: Any = OmegaConf.to_container(node, resolve=True)
    check_keywords(name, {key: value for key, value in own.items() if key != "log_model"}, target)
    return {key: value for key, value in own.items() if not key.startswith("_")}


def _make(entry: str, node: DictConfig, /, **keywords: Any) -> Any:
    """Make the logger of an entry from its class and all keywords."""
    return instantiate(entry, OmegaConf.create({"_target_": node["_target_"]}), **keywords)
