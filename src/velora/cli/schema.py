"""Name, type, default and meaning of every setting of ``conf/``, so that a slip fails before anything is built.

Those of agents, of ``agent.train`` and of the callback that saves come from ``velora.models.keywords``, which is made
from the code. The YAML files hold choices, and values that differ. Hydra merges each file into its class, and
`velora.cli.check` goes over the result once more, for what ``+name=value`` lets through.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, make_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from velora.models.keywords import (
    AGENTS,
    GROUPS,
    CheckpointKeywords,
    DDPGKeywords,
    RunKeywords,
    SizeKeywords,
    TrainKeywords,
)

_FROM_ELSEWHERE: Final = ("discrete", *RunKeywords.__annotations__)
"""Arguments of an agent's constructor that the environment decides, or another group of settings."""


def told(default: Any, meaning: str) -> Any:
    """Declare a setting with what it means."""
    if isinstance(default, tuple):
        return field(default_factory=lambda: list(default), metadata={"meaning": meaning})
    return field(default=MISSING if default is ... else default, metadata={"meaning": meaning})


def taken(keywords: Any, name: str, meaning: str | None = None) -> Any:
    """Declare a setting with the default of an argument, and with its meaning unless that is another one here."""
    _, default, there = keywords.__annotations__[name].__metadata__
    return told(default, meaning or there)


def arguments(keywords: Any, *, without: Collection[str] = ()) -> list[tuple[str, Any, Any]]:
    """Make the fields of a dataclass from arguments, those of a group together."""
    listed = [(name, hint) for name, hint in keywords.__annotations__.items() if name not in without]
    listed.sort(key=lambda one: [*GROUPS, one[1].__metadata__[0]].index(one[1].__metadata__[0]))
    return [(name, _node_type(hint.__origin__), taken(keywords, name)) for name, hint in listed]


def _node_type(kind: Any) -> Any:
    """Return the type that OmegaConf knows for what a constructor accepts."""
    if get_origin(kind) is Literal:
        return type(get_args(kind)[0])
    if get_origin(kind) is UnionType:
        (known,) = (part for part in get_args(kind) if part is not NoneType)
        return _node_type(known) | None
    return list[get_args(kind)] if get_origin(kind) is Sequence else kind  # type: ignore[misc]


def _agent_schema(target: str, keywords: Any) -> type:
    """Make the class of an agent's settings; ``image`` is a shape, or ``false`` to see none."""
    fields: list[Any] = [("_target_", str, target), ("n_neurons", int, taken(SizeKeywords, "n_neurons"))]
    for name, kind, value in arguments(keywords, without=_FROM_ELSEWHERE):
        fields.append((name, Any if name == "image" else kind, value))
    made = make_dataclass(f"{target.rpartition('.')[2]}Schema", fields)
    made.__module__ = __name__  # where pickle looks for it
    return made


AGENT_SCHEMAS: Final = {key: _agent_schema(target, keywords) for key, (target, keywords) in AGENTS.items()}
"""Settings of every agent that comes with Velora."""
globals().update({schema.__name__: schema for schema in AGENT_SCHEMAS.values()})


@dataclass
class RecommendedSchema:
    """What ``train``, ``checkpoint`` and ``agent`` take over from the environment's file unless told otherwise."""

    n_episodes: int = told(100, "episodes of a run")
    n_steps: int | None = told(None, "environment steps of a run; ``None`` sets no limit")
    checkpoint_frequency: int = told(50, "episodes between two checkpoints")
    actor_lr: float = taken(DDPGKeywords, "actor_lr")
    noise_std: float = taken(DDPGKeywords, "noise_std")
    noise_correlation: float = taken(DDPGKeywords, "noise_correlation")


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

    name: str = told(..., "``auto`` is the first GPU if there is one, else the CPU; or ``cpu``, ``cuda``, ``cuda:1``")
    threads: int | None = taken(TrainKeywords, "threads")
    kernel: str = taken(RunKeywords, "kernel")


@dataclass
class CheckpointSchema(make_dataclass("Saving", arguments(CheckpointKeywords))):  # type: ignore[misc]
    """When to save, and what."""


@dataclass
class TrainSchema(make_dataclass("Training", arguments(TrainKeywords, without=("threads",)))):  # type: ignore[misc]
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
    """Everything that ``velora train`` can be told."""

    agent: Any = MISSING
    env: EnvSchema = field(default_factory=EnvSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)
    checkpoint: CheckpointSchema = field(default_factory=CheckpointSchema)
    train: TrainSchema = field(default_factory=TrainSchema)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    resume: str | None = told(None, "a run directory to go on from")


@dataclass
class SavedAgentSchema:
    """The checkpoint to evaluate, or the run whose checkpoint to evaluate."""

    path: str | None = told(None, "a run, or a checkpoint of it; ``checkpoint=<run>`` is short for it")


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

    _target_: str | None = told(None, "of an agent of a class of your own: my_module.MyAgent")


@dataclass
class EvaluateConfig:
    """Everything that ``velora evaluate`` can be told."""

    agent: AgentClassSchema = field(default_factory=AgentClassSchema)
    checkpoint: SavedAgentSchema = field(default_factory=SavedAgentSchema)
    episodes: int = told(10, "episodes to play")
    seed: int | None = told(None, "``None``: the episodes that training evaluates on; a number: other ones")
    render: str | None = told(None, "``human``: watch it in a window")
    env: ElsewhereSchema = field(default_factory=ElsewhereSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)


def register() -> None:
    """Put the schemas where Hydra looks for them."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig, provider="velora")
    store.store(name="evaluate_schema", node=EvaluateConfig, provider="velora")
    for key, schema in AGENT_SCHEMAS.items():
        store.store(name=f"{key}_schema", node=schema, provider="velora")
