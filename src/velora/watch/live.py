"""The live page of ``velora watch``: policy and physics run in it, in one file, and its visitor has a hand in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from velora.analysis.page import page
from velora.core.errors import SettingError
from velora.export.describe import describe
from velora.export.json_form import json_form
from velora.export.policy import Policy
from velora.models.agent import Agent
from velora.watch.circuit import circuit_of
from velora.watch.page import asset, body_of, circuit_form, said_of, synapses_form
from velora.watch.task import World, world_of


@dataclass(frozen=True, slots=True)
class Lane:
    """A policy and the world that the page lets it act in.

    Attributes:
        policy: its description.
        world: as the page computes it.
        name: above its picture.
    """

    policy: Policy
    world: World
    name: str

    @classmethod
    def of(cls, agent: Agent, name: str = "", environment: Mapping[str, Any] | None = None) -> Lane:
        """Describe an agent for the page.

        Args:
            agent: of one seed.
            name: above its picture; by default its cell.
            environment: that it is shown in, as :func:`velora.envs.describe` says it; by default the one that it was
                trained in.

        Raises:
            ExportError: if the agent's policy can't be described.
            SettingError: if the page can't compute the environment.
        """
        policy = describe(agent)
        return cls(policy, world_of(policy, environment or agent.environment), name or policy.origin.cell)


def live_page(first: Lane, *beside: Lane, seed: int | None = None, command: str = "") -> str:
    """Return the page, which loads nothing from elsewhere.

    Opened as ``live.html#bare``, in a frame of another page, it shows neither its heading nor its foot.

    Example:
        >>> import velora
        >>> page = live_page(Lane.of(velora.zoo("pendulum"), "zoo:pendulum"))
        >>> len(page) < 200_000
        True

    Args:
        first: sliders begin as it was trained.
        beside: others, of the same task, which are pushed and troubled alike.
        seed: of the first episode; the page draws numbers of its own from it.
        command: that made the page, for its foot.

    Raises:
        SettingError: if the policies are of different tasks.
    """
    lanes = (first, *beside)
    tasks = list(dict.fromkeys(_task(one) for one in lanes))
    if len(tasks) > 1:
        raise SettingError(f"beside: all policies of a page do the same task, got {' and '.join(tasks)}")
    said = [said_of(one.policy, circuit_of(one.policy)) for one in lanes]
    lead = f"Push, blind and cut it: physics and policy run in this page. {_listed(lanes, said)}"
    data = {
        "seed": 1 if seed is None else seed,
        "lanes": [_lane(one) for one in lanes],
        "trained": _trained(first.world),
    }
    body = body_of("live", "viewer.css", "live.css")
    title = f"{first.policy.origin.agent} on {first.world.environment['task']}, live"
    return page(title, [body], lead=lead, foot=command, data=data, script=asset("live.js"))


def _task(lane: Lane) -> str:
    own = lane.world.environment
    words = [f"{name} {value}" for name, value in own["keywords"].items()]
    return " of ".join([str(own["task"]), *([", ".join(words)] if words else [])])


def _listed(lanes: Sequence[Lane], said: Sequence[str]) -> str:
    if len(lanes) == 1:
        return f"{said[0]}."
    return " ".join(f"{lane.name} is {one}." for lane, one in zip(lanes, said, strict=True))


def _lane(lane: Lane) -> dict[str, Any]:
    """Return what ``PackedLane`` of ``viewer/src/lane.ts`` is."""
    circuit = circuit_of(lane.policy, lane.world.sensors)
    return {
        "name": lane.name,
        "policy": json_form(lane.policy),
        "circuit": circuit_form(lane.policy, circuit),
        "synapses": synapses_form(circuit),
        "environment": lane.world.environment,
    }


def _trained(world: World) -> dict[str, float]:
    """Return where sliders begin."""
    wrappers = world.wrappers
    hold, noise = wrappers["HoldAction"]["hold"], float(np.max(wrappers["NoisyObservation"]["std"]))
    return {
        "dt": min(hold),
        "jitter": max(hold) - min(hold),
        "noise": noise,
        "dropout": float(wrappers["Flicker"]["probability"]),
        "most_noise": max(world.task.most_noise, noise),
    }
