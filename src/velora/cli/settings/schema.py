"""Names and types of all settings of ``conf/``, so that a slip fails before anything is built.

The YAML files hold the values and explain them; these classes hold names and types. Hydra merges each file into its
class, and :func:`check` goes over the result once more, for settings that ``+name=value`` lets through.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from velora.cli.settings import wrappers
from velora.core.errors import SettingError
from velora.core.names import did_you_mean


@dataclass
class LiquidAgentSchema:
    """What all agents have in common; their constructors document it."""

    _target_: str = MISSING
    n_neurons: int = MISSING
    cell: str = MISSING
    cell_mode: str = MISSING
    mixed_memory: bool = MISSING
    wiring: str = MISSING
    sparsity: float = MISSING
    time: str = "gate"
    critic: str = "dense"
    critic_units: list[int] = MISSING
    optimizer: str = MISSING
    actor_lr: float = MISSING
    critic_lr: float = MISSING
    gamma: float = MISSING
    grad_clip: float | None = MISSING
    reward_scale: float = MISSING
    normalize_obs: bool = MISSING
    normalize_returns: bool = MISSING
    sequence_length: int = MISSING
    image: Any = None
    image_range: list[float] | None = None


@dataclass
class ReplayAgentSchema(LiquidAgentSchema):
    """What agents that learn from a replay buffer have in common."""

    tau: float = MISSING
    buffer_size: int = MISSING
    warmup_steps: int = MISSING
    burn_in: int = MISSING


@dataclass
class LiquidDDPGSchema(ReplayAgentSchema):
    """Settings of :class:`velora.models.LiquidDDPG`."""

    _target_: str = "velora.models.LiquidDDPG"
    noise_std: float = MISSING
    noise_final_std: float | None = MISSING
    noise_decay_steps: int = MISSING
    noise_correlation: float = MISSING


@dataclass
class LiquidTD3Schema(LiquidDDPGSchema):
    """Settings of :class:`velora.models.LiquidTD3`."""

    _target_: str = "velora.models.LiquidTD3"
    policy_delay: int = MISSING
    target_noise: float = MISSING
    target_noise_clip: float = MISSING


@dataclass
class LiquidSACSchema(ReplayAgentSchema):
    """Settings of :class:`velora.models.LiquidSAC`; the environment says whether actions are ``discrete``."""

    _target_: str = "velora.models.LiquidSAC"
    temperature_lr: float = MISSING
    initial_temperature: float = MISSING
    target_entropy: float | None = MISSING


@dataclass
class LiquidPPOSchema(LiquidAgentSchema):
    """Settings of :class:`velora.models.LiquidPPO`; the environment says whether actions are ``discrete``."""

    _target_: str = "velora.models.LiquidPPO"
    gae_lambda: float = MISSING
    n_envs: int = MISSING
    rollout_steps: int = MISSING
    n_epochs: int = MISSING
    clip_range: float = MISSING
    entropy_bonus: float = MISSING
    target_kl: float | None = MISSING
    initial_std: float = MISSING


@dataclass
class RecommendedSchema:
    """Defaults of ``train``, ``checkpoint`` and ``agent`` that an environment's file may set."""

    n_episodes: int = 100
    n_steps: int | None = None
    checkpoint_frequency: int = 50
    actor_lr: float = 3e-4
    noise_std: float = 0.3
    noise_correlation: float = 0.85


@dataclass
class BareEnvSchema:
    """An environment without wrappers, and how long to train on it."""

    id: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)


@dataclass
class EnvSchema(wrappers.extended(BareEnvSchema)):  # type: ignore[misc]
    """An environment with its wrappers, and how long to train on it."""


@dataclass
class DeviceSchema:
    """The device, the number of threads, and the kernel."""

    name: str = MISSING
    threads: int | None = MISSING
    kernel: str = "auto"


@dataclass
class CheckpointSchema:
    """Settings of :class:`velora.callbacks.SaveCheckpoints`."""

    frequency: int | None = MISSING
    buffer: bool = MISSING
    keep_last: int | None = MISSING
    final: bool = MISSING


@dataclass
class TrainSchema:
    """The arguments of ``agent.train``, and the seeds."""

    n_episodes: int = MISSING
    n_steps: int | None = MISSING
    batch_size: int = MISSING
    window_size: int = MISSING
    evaluate_every: int | None = MISSING
    evaluation_episodes: int = MISSING
    seed: int | None = MISSING
    seeds: Any = None
    progress_bar: bool = MISSING
    summary: bool = MISSING
    log_every: int = MISSING


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
    resume: str | None = None


@dataclass
class SavedAgentSchema:
    """The checkpoint to evaluate, or the run whose checkpoint to evaluate."""

    path: str | None = None


@dataclass
class BareElsewhereSchema:
    """The environment to evaluate in, without wrappers; settings that are null are those of training."""

    id: str | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)


@dataclass
class ElsewhereSchema(wrappers.extended(BareElsewhereSchema, is_optional=True)):  # type: ignore[misc]
    """The environment to evaluate in, with its wrappers; settings that are null are those of training."""


@dataclass
class AgentClassSchema:
    """The class of an agent from outside Velora: loading a checkpoint imports no code that isn't named here."""

    _target_: str | None = None


@dataclass
class EvaluateConfig:
    """All settings of ``velora evaluate``."""

    agent: AgentClassSchema = field(default_factory=AgentClassSchema)
    checkpoint: SavedAgentSchema = field(default_factory=SavedAgentSchema)
    episodes: int = MISSING
    seed: int | None = None
    render: str | None = None
    env: ElsewhereSchema = field(default_factory=ElsewhereSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)


def register() -> None:
    """Store the schemas, and the choices that need no file, where Hydra looks for them."""
    store = ConfigStore.instance()
    store.__deepcopy__ = partial(_itself, store)  # type: ignore[attr-defined]
    store.store(name="train_schema", node=TrainConfig, provider="velora")
    store.store(name="evaluate_schema", node=EvaluateConfig, provider="velora")
    store.store(name="liquid_ddpg_schema", node=LiquidDDPGSchema, provider="velora")
    store.store(name="liquid_ppo_schema", node=LiquidPPOSchema, provider="velora")
    store.store(name="liquid_sac_schema", node=LiquidSACSchema, provider="velora")
    store.store(name="liquid_td3_schema", node=LiquidTD3Schema, provider="velora")
    names = [f"env/{group.name}" for group in wrappers.GROUPS]
    for name, group in zip(names, wrappers.GROUPS, strict=True):
        store.store(group=name, name="none", node=dataclasses.asdict(group.schema()), provider="velora")
    store.store(name="no_wrappers", node={"defaults": [{name: "none"} for name in names]}, provider="velora")
    store.store(name="wrappers_as_trained", node={"defaults": [{name: None} for name in names]}, provider="velora")


def _itself(store: ConfigStore, memo: Mapping[int, Any]) -> ConfigStore:
    """Stand in for a copy of the store: Hydra makes dozens of them, two thirds of the time that ``--help`` took.

    Nothing changes such a copy, and ``load`` copies the configurations that it hands out.
    """
    return store


def check(cfg: DictConfig, prefix: str = "") -> None:
    """Check every part of composed settings that has a schema.

    Raises:
        SettingError: if a setting is unknown, or has no value.
        OmegaConfBaseException: if a reference can't be resolved.
    """
    schema = OmegaConf.get_type(cfg)
    if schema is not None and dataclasses.is_dataclass(schema):
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
