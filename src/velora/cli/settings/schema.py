"""Names, types, defaults and meanings of all settings of ``conf/``, so that a slip fails before anything is built.

Those of agents, of ``agent.train`` and of the callback that saves are made from the code. The YAML files hold choices,
and values that differ. Hydra merges each file into its class, and :func:`check` goes over the result once more, for
settings that ``+name=value`` lets through.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from velora.cli.settings import wrappers
from velora.cli.settings.environments import CheckpointSchema, DeviceSchema, EnvSchema
from velora.cli.settings.fields import AGENT_SCHEMAS, arguments, taken, told
from velora.cli.settings.playing import (
    AuditConfig,
    CheckEnvConfig,
    DriveConfig,
    EvaluateConfig,
    ProveConfig,
    PushConfig,
    RecordConfig,
    WatchConfig,
)
from velora.cli.settings.teaching import TeacherSchema
from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.models.keywords import TrainKeywords

ELSEWHERE = ("threads", "workers", "worker_timeout_s")
"""Arguments of ``agent.train`` that other groups of settings have."""


@dataclass
class TrainSchema(make_dataclass("Training", arguments(TrainKeywords, without=ELSEWHERE))):  # type: ignore[misc]
    """The arguments of ``agent.train``, and the seeds."""

    n_episodes: int = told(..., "episodes to train for, for each seed")
    n_steps: int | None = taken(
        TrainKeywords, "n_steps", "environment steps to train for, for each seed; ``None`` sets no limit"
    )
    evaluate_every: int | None = taken(
        TrainKeywords, "evaluate_every", "episodes between evaluations; ``None`` evaluates at the end only"
    )
    seed: int | None = told(None, "decides everything random; ``None`` draws one and writes it into config.yaml")
    seeds: Any = told(  # noqa: RUF009 - makes a field
        None, "train several side by side: ``10`` (from train.seed on, or 0 to 9), or a list such as ``[3,5,8]``"
    )


@dataclass
class TrainConfig:
    """All settings of ``velora train``."""

    agent: Any = MISSING
    env: EnvSchema = field(default_factory=EnvSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)
    checkpoint: CheckpointSchema = field(default_factory=CheckpointSchema)
    train: TrainSchema = field(default_factory=TrainSchema)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    resume: str | None = told(None, "a run to go on from, or one of its checkpoints; or a sweep")
    retry: str | None = told(None, "``failed``: jobs of a sweep that failed before are run again")


@dataclass
class DistillConfig(TrainConfig):
    """All settings of ``velora distill``: those of ``velora train``, and the teacher."""

    distill: TeacherSchema = field(default_factory=TeacherSchema)


CONFIGS = {
    "train": TrainConfig,
    "distill": DistillConfig,
    "evaluate": EvaluateConfig,
    "record": RecordConfig,
    "watch": WatchConfig,
    "audit": AuditConfig,
    "push": PushConfig,
    "drive": DriveConfig,
    "prove": ProveConfig,
    "check_env": CheckEnvConfig,
}
"""Settings of every command that Hydra composes some for, by the name of its file in ``conf/``."""


def register() -> None:
    """Store the schemas, and the choices that need no file, where Hydra looks for them."""
    store = ConfigStore.instance()
    store.__deepcopy__ = partial(_itself, store)  # type: ignore[attr-defined]
    for name, config in CONFIGS.items():
        store.store(name=f"{name}_schema", node=config, provider="velora")
    for key, node in AGENT_SCHEMAS.items():
        store.store(name=f"{key}_schema", node=node, provider="velora")
    names = [f"env/{group.name}" for group in wrappers.GROUPS]
    for name, group in zip(names, wrappers.GROUPS, strict=True):
        store.store(group=name, name="none", node=dataclasses.asdict(group.schema()), provider="velora")
    store.store(name="no_wrappers", node={"defaults": [{name: "none"} for name in names]}, provider="velora")
    store.store(name="wrappers_as_trained", node={"defaults": [{name: None} for name in names]}, provider="velora")


def _itself(store: ConfigStore, memo: Mapping[int, Any]) -> ConfigStore:
    """Return the store itself for a copy: Hydra makes dozens, two thirds of the time that ``--help`` took.

    Nothing changes such a copy, and ``load`` copies the configurations that it hands out.
    """
    return store


def _names_another_class(cfg: DictConfig, schema: Any) -> bool:
    """Return whether an entry is of a class of the user's own, whose settings only that class knows."""
    ours = getattr(schema, "_target_", None)
    return isinstance(ours, str) and not OmegaConf.is_missing(cfg, "_target_") and cfg.get("_target_") != ours


def check(cfg: DictConfig, prefix: str = "") -> None:
    """Check every part of composed settings that has a schema.

    Raises:
        SettingError: if a setting is unknown, or has no value.
        OmegaConfBaseException: if a reference can't be resolved.
    """
    schema = OmegaConf.get_type(cfg)
    if schema is not None and dataclasses.is_dataclass(schema) and not _names_another_class(cfg, schema):
        known = [f.name for f in dataclasses.fields(schema)]
        for key in map(str, cfg):
            if key not in known:
                names = [f"{prefix}{name}" for name in known]
                hint = did_you_mean(f"{prefix}{key}", names, "see --help for all of them")
                raise SettingError(f"{prefix}{key}: no such setting; {hint}")
    for key in map(str, cfg):
        name = f"{prefix}{key}"
        if OmegaConf.is_missing(cfg, key):
            raise SettingError(f"{name}: needs a value; give it as {name}=...")
        child = cfg[key]  # resolves ${...}, which may lead nowhere or to the wrong type
        if isinstance(child, DictConfig):
            check(child, f"{name}.")
