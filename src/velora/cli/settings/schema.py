"""What every setting of ``conf/`` is called and which type it has, so that a slip fails before anything is built.

The YAML files hold the values and explain them; these classes hold names and types. Hydra merges each file into its
class, and `velora.cli.command.check` goes over the result once more, for what ``+name=value`` lets through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


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
    """What ``train``, ``checkpoint`` and ``agent`` take over from the environment's file unless told otherwise."""

    n_episodes: int = 100
    n_steps: int | None = None
    checkpoint_frequency: int = 50
    actor_lr: float = 3e-4
    noise_std: float = 0.3
    noise_correlation: float = 0.85


@dataclass
class TimeSchema:
    """How long actions are held; see :class:`velora.envs.wrappers.HoldAction`."""

    hold: list[int] | None = None
    order: str | None = None


@dataclass
class MaskSchema:
    """What isn't observed; see :class:`velora.envs.wrappers.DropObservation`."""

    drop: Any = None


@dataclass
class NoiseSchema:
    """Noise on observations; see :class:`velora.envs.wrappers.NoisyObservation`."""

    std: Any = None


@dataclass
class FlickerSchema:
    """Sensors that fail; see :class:`velora.envs.wrappers.Flicker`."""

    probability: float | None = None


@dataclass
class PreviousSchema:
    """Whether the past is observed; see :class:`velora.envs.wrappers.PreviousActionReward`."""

    action_reward: bool = False


@dataclass
class EnvSchema:
    """An environment, what makes it harder to see, and how long to train on it."""

    id: str = MISSING
    kwargs: dict[str, Any] = field(default_factory=dict)
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)
    time: TimeSchema = field(default_factory=TimeSchema)
    mask: MaskSchema = field(default_factory=MaskSchema)
    noise: NoiseSchema = field(default_factory=NoiseSchema)
    flicker: FlickerSchema = field(default_factory=FlickerSchema)
    previous: PreviousSchema = field(default_factory=PreviousSchema)


@dataclass
class DeviceSchema:
    """Where to compute, and on how many threads."""

    name: str = MISSING
    threads: int | None = MISSING
    kernel: str = "auto"


@dataclass
class CheckpointSchema:
    """When to save, and what."""

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
    """Everything that ``velora train`` can be told."""

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
class ElsewhereSchema:
    """An environment other than the one the agent was trained in; what is missing is as it was there."""

    id: str | None = None
    kwargs: dict[str, Any] = field(default_factory=dict)
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)
    time: TimeSchema | None = None
    mask: MaskSchema | None = None
    noise: NoiseSchema | None = None
    flicker: FlickerSchema | None = None
    previous: PreviousSchema | None = None


@dataclass
class AgentClassSchema:
    """The class of the agent, where it isn't one of Velora's; a checkpoint names it, but imports nothing."""

    _target_: str | None = None


@dataclass
class EvaluateConfig:
    """Everything that ``velora evaluate`` can be told."""

    agent: AgentClassSchema = field(default_factory=AgentClassSchema)
    checkpoint: SavedAgentSchema = field(default_factory=SavedAgentSchema)
    episodes: int = MISSING
    seed: int | None = None
    render: str | None = None
    env: ElsewhereSchema = field(default_factory=ElsewhereSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)


def register() -> None:
    """Put the schemas where Hydra looks for them."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig, provider="velora")
    store.store(name="evaluate_schema", node=EvaluateConfig, provider="velora")
    store.store(name="liquid_ddpg_schema", node=LiquidDDPGSchema, provider="velora")
    store.store(name="liquid_ppo_schema", node=LiquidPPOSchema, provider="velora")
    store.store(name="liquid_sac_schema", node=LiquidSACSchema, provider="velora")
    store.store(name="liquid_td3_schema", node=LiquidTD3Schema, provider="velora")
