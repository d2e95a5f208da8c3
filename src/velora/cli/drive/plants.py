"""The plant that the settings of ``velora drive`` name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from velora.cli.run.saved_environment import chosen_environment, saved_wrappers
from velora.cli.settings.instantiate import import_class
from velora.cli.settings.objects import chosen_wrappers, make_environment, merged
from velora.core.errors import SettingError, VeloraError
from velora.drive.controller import sizes_of
from velora.drive.plant import Plant
from velora.drive.simulated import simulated
from velora.drive.socket_plant import SocketPlant
from velora.models import Agent

log = logging.getLogger(__name__)

_CLOCKED = {"HoldAction": "time", "Delay": "delay", "Flicker": "flicker"}
"""Wrappers that count steps, which the clock counts now, with the groups that name them."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A plant.

    Attributes:
        plant: ``None`` if it is in C, and part of the loop.
        words: what it is.
        step_s: seconds of a control step; ``None`` if nobody says.
        source: its file in C.
    """

    plant: Plant | None
    words: str
    step_s: float | None
    source: Path | None = None


def choose_plant(cfg: DictConfig, path: Path, agent: Agent) -> Chosen:
    """Make the plant that ``plant`` names.

    Raises:
        VeloraError: if it can't be made, or the name is of no plant.
    """
    given: str = cfg.plant
    if given == "simulated":
        return _simulated(cfg, path, agent)
    if cfg.physics is not None:
        raise SettingError(f"physics: is of a simulated plant, and this one is {given}; leave it out")
    if given.startswith("tcp://"):
        plant = SocketPlant(*_address(given))
        own, sizes = (plant.n_observations, plant.n_actions), sizes_of(agent)
        if own != (sizes.n_observations, sizes.n_actions):
            plant.close()
            raise SettingError(
                f"plant: {given} gives {own[0]} observations and takes {own[1]} actions, and the policy has "
                f"{sizes.n_observations} and {sizes.n_actions}; choose the checkpoint that fits it"
            )
        return Chosen(plant, given, plant.step_s if cfg.step_s is None else cfg.step_s)
    if given.endswith(".c"):
        return Chosen(None, given, cfg.step_s, Path(given))
    if ":" in given or "." in given:
        return _own(given, cfg)
    raise SettingError(
        f"plant: expected simulated, tcp://host:port, my_module:MyPlant or my_plant.c (with loop=c), got {given!r}"
    )


def _simulated(cfg: DictConfig, path: Path, agent: Agent) -> Chosen:
    env_id, kwargs = chosen_environment(cfg, path, agent.environment)
    wrappers = merged(saved_wrappers(path, agent.environment), chosen_wrappers(cfg.env))
    names = [one["name"] for one in wrappers]
    for name in names:
        if name in _CLOCKED and name != "HoldAction":
            log.warning("env.%s: left out, since it counts steps; in real time the clock decides", _CLOCKED[name])
    kept = [one for one in wrappers if one["name"] not in (*_CLOCKED, "PreviousActionReward")]
    env = make_environment(env_id, kwargs, wrappers=kept)
    own: dict[str, Any] = {"seed": cfg.seed, "shows_previous": "PreviousActionReward" in names}
    try:
        plant = simulated(env, cfg.rate, step_s=cfg.step_s, physics=cfg.physics, **own)
        if plant.n_observations == agent.settings.state_dim and not (own["shows_previous"] or agent.privileged):
            agent.adapt(env)  # what it doesn't see of these, the plant adds, or only its critic wants
    except VeloraError:
        env.close()
        raise
    words = f"{env_id}, simulated, physics in steps of {plant.physics_s * 1e3:.3g} ms"
    if plant.n_observations != agent.settings.state_dim:
        plant.close()
        raise SettingError(
            f"plant: {env_id} has readings of {plant.n_observations} numbers, and the policy takes "
            f"{agent.settings.state_dim}; choose the environment that it was trained in"
        )
    return Chosen(plant, words, plant.step_s)


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.removeprefix("tcp://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise SettingError(f"plant: expected tcp://host:port, such as tcp://127.0.0.1:7000, got {given!r}")
    return host, int(port)


def _own(given: str, cfg: DictConfig) -> Chosen:
    """Make a plant of the user's own code, which the command line names."""
    make = import_class(given.replace(":", "."), "plant")
    plant = make()
    if not isinstance(plant, Plant):
        raise SettingError(
            f"plant: {given} gave a {type(plant).__name__}; expected an object with the methods read, write and close"
        )
    step_s = getattr(plant, "step_s", None) if cfg.step_s is None else cfg.step_s
    return Chosen(plant, given, step_s)
