"""Settings of the commands that take a saved agent, or look at an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from velora.cli.settings import wrappers
from velora.cli.settings.drive_words import DriveWords
from velora.cli.settings.environments import ID, DeviceSchema, RecommendedSchema
from velora.cli.settings.fields import taken, told
from velora.models.keywords import TrainKeywords


@dataclass
class SavedAgentSchema:
    """The checkpoint to evaluate, or the run whose checkpoint to evaluate."""

    path: str | None = told(None, "a run, or a checkpoint of it; ``checkpoint=<run>`` is short for it")


@dataclass
class BareElsewhereSchema:
    """The environment to evaluate in, without wrappers; settings that are null are those of training."""

    id: str | None = told(None, ID)
    kwargs: dict[str, Any] = field(default_factory=dict)
    recommended: RecommendedSchema = field(default_factory=RecommendedSchema)


@dataclass
class ElsewhereSchema(wrappers.extended(BareElsewhereSchema, is_optional=True)):  # type: ignore[misc]
    """The environment to evaluate in, with its wrappers; settings that are null are those of training."""


@dataclass
class AgentClassSchema:
    """Classes of an agent from outside Velora: loading a checkpoint imports no code that isn't named here."""

    _target_: str | None = told(None, "of an agent of a class of your own: my_module.MyAgent")
    cell: str | None = told(None, "of a policy whose cell is a class of your own: my_module.MyCell")


@dataclass
class PlayConfig:
    """Settings of every command that plays a saved agent."""

    agent: AgentClassSchema = field(default_factory=AgentClassSchema)
    checkpoint: SavedAgentSchema = field(default_factory=SavedAgentSchema)
    episodes: int = told(10, "episodes to play")
    max_steps: int = taken(TrainKeywords, "evaluation_max_steps")
    seed: int | None = told(None, "``None``: the episodes that training evaluates on; a number: other ones")
    env: ElsewhereSchema = field(default_factory=ElsewhereSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)


@dataclass
class EvaluateConfig(PlayConfig):
    """All settings of ``velora evaluate``."""

    render: str | None = told(None, "``human``: watch it in a window")


@dataclass
class RecordConfig(PlayConfig):
    """All settings of ``velora record``."""

    episodes: int = told(1, "episodes to play, one after the other")
    out: str | None = told(
        None, "the video, ``.mp4``, ``.webp`` or ``.gif``; ``None``: episode.mp4, or .webp without imageio-ffmpeg"
    )
    every: int = told(1, "steps between two pictures; the video is as fast as before")


@dataclass
class WatchConfig(PlayConfig):
    """All settings of ``velora watch``."""

    episodes: int = told(1, "always 1: a page shows one episode")
    max_steps: int = told(500, "an episode that is so long is cut")
    out: str | None = told(None, "the page; ``None``: watch.html")
    pictures: bool = told(True, "show pictures of the task beside the circuit")
    live: bool = told(False, "policy and physics run in the page, instead of a recorded episode: classic control")
    beside: Any = told(None, "live: policies to show at its side, such as ``zoo:pendulum,<run>``")  # noqa: RUF009


@dataclass
class AuditConfig(PlayConfig):
    """All settings of ``velora audit``."""

    episodes: int = told(10, "episodes to play, each again without every neuron and under every disturbance")
    out: str | None = told(None, "the page; ``None``: audit.html. The numbers lie beside it, in audit.json")


@dataclass
class PushConfig(PlayConfig):
    """All settings of ``velora push``."""

    repo: str | None = told(None, "where to, as ``user/name``")
    agent_seed: int | None = told(None, "of a run of several seeds: the one whose agent is shared")
    episodes: int = told(20, "episodes to play for the scores of the card; 0 for a card without")
    seed: int | None = told(0, "of these episodes; ``None``: those that training evaluated on")
    out: str | None = told(None, "a folder to write, instead of pushing anything")
    proof: str | None = told(None, "what ``velora prove policy/ json=proof.json`` wrote: its table is on the card")
    license: str | None = told(None, "of the agent, such as ``mit``, for the card")
    private: bool = told(False, "a repository that is made for it is shown to its owner only")
    message: str = told("Upload with Velora", "of the commit")


@dataclass
class CheckedSchema(wrappers.extended(BareElsewhereSchema)):  # type: ignore[misc]
    """The environment to look at, with its wrappers."""


@dataclass
class CheckEnvConfig:
    """All settings of ``velora check-env``."""

    env: CheckedSchema = field(default_factory=CheckedSchema)
    steps: int = told(1_000, "steps to take, of ten episodes at most, with random actions")
    seed: int = told(0, "of the actions and of the first episode")


@dataclass
class DriveConfig(DriveWords):
    """All settings of ``velora drive``."""

    agent: AgentClassSchema = field(default_factory=AgentClassSchema)
    checkpoint: SavedAgentSchema = field(default_factory=SavedAgentSchema)
    env: ElsewhereSchema = field(default_factory=ElsewhereSchema)
    device: DeviceSchema = field(default_factory=DeviceSchema)


@dataclass
class ProveConfig(PlayConfig):
    """All settings of ``velora prove``."""

    policy: str | None = told(None, "a directory that ``velora export to=c`` wrote")
    target: Any = told("all", "``all``, or one or several, such as ``cortex-m4`` or ``cortex-m0,avr``")  # noqa: RUF009
    slow_episodes: int | None = told(
        None, "episodes on chips without a floating-point unit, which emulate slowly; ``None``: as many"
    )
    steps: int = told(1_000, "steps of the open loop")
    timeout_s: float = told(30.0, "seconds that an emulator may take for an answer")
    json: str | None = told(None, "a file to write all numbers to")
