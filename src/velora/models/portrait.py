"""An agent in words, as Python and notebooks show it: what it is, its sizes and wiring, and its training so far."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch

from velora.checkpoint.layout import listed
from velora.core.types import Counters
from velora.envs import ActionUnits

_STYLE = "text-align: left; padding: 1px 12px 1px 0; vertical-align: top"
_MOST_SEEDS = 10
SIZES = ("state_dim", "n_neurons", "action_dim")
"""The settings that come first in a constructor, and have no defaults."""


class Portrayed(Protocol):
    """An agent as it is shown."""

    seeds: tuple[int, ...]
    progress: list[Counters]
    environment: dict[str, Any] | None
    bounds: ActionUnits
    kernel: str
    device: torch.device
    settings: Any

    @property
    def discrete(self) -> bool:
        """Whether actions are choices."""
        ...

    def summary(self) -> dict[str, Any]:
        """Describe class, settings and networks."""
        ...

    def changed_settings(self) -> dict[str, Any]:
        """Return the settings that aren't the defaults."""
        ...


def as_text(agent: Portrayed) -> str:
    """Show an agent as the call that makes one like it, and lines of facts below."""
    rows = list(facts(agent))
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join([call(agent), *(f"  {name:<{width}}{text}" for name, text in rows)])


def as_html(agent: Portrayed) -> str:
    """Show it as a table of HTML, for a notebook in light or dark."""
    rows = "".join(
        f'<tr><th scope="row" style="{_STYLE}">{html.escape(name)}</th>'
        f'<td style="{_STYLE}">{html.escape(text)}</td></tr>'
        for name, text in facts(agent)
    )
    return f"<div><code>{html.escape(call(agent))}</code><table>{rows}</table></div>"


def call(agent: Portrayed) -> str:
    """Write the call of the constructor: sizes, what differs from the defaults, and the seeds.

    Example:
        >>> from velora.models import LiquidDDPG
        >>> call(LiquidDDPG(3, 10, 1, tau=0.01, seeds=[0, 1]))
        'LiquidDDPG(3, 10, 1, tau=0.01, seeds=[0, 1])'
    """
    sizes = [getattr(agent.settings, name) for name in SIZES]
    return call_of(type(agent).__name__, sizes, agent.changed_settings(), agent.seeds)


def call_of(name: str, sizes: Iterable[int], changed: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Write the call of a constructor.

    Args:
        name: the class.
        sizes: what comes first, as in ``SIZES``.
        changed: settings that differ from the defaults.
        seeds: one or several.
    """
    of_many = f"seeds={list(seeds)}" if len(seeds) <= _MOST_SEEDS else f"seeds=[{seeds[0]}, ..., {seeds[-1]}]"
    of_one = f"seed={seeds[0]}"
    settings = (f"{setting}={value!r}" for setting, value in changed.items())
    return f"{name}({', '.join([*map(str, sizes), *settings, of_one if len(seeds) == 1 else of_many])})"


def facts(agent: Portrayed) -> Iterator[tuple[str, str]]:
    """Name what an agent is, one fact after the other."""
    s, environment = agent.settings, agent.environment
    yield "sees", counted(s.state_dim, "number") if s.image is None else f"images {s.image}"
    if s.privileged:
        yield "critics see", f'{counted(s.privileged, "number")} of info["state"] besides'
    units = agent.bounds.describe() if environment is not None else {}
    yield "puts out", actions(int(s.action_dim), units, discrete=agent.discrete)
    cell = s.cell if s.cell_mode == "default" else f"{s.cell} ({s.cell_mode})"
    for name, network in agent.summary()["networks"].items():
        total, active = int(network["parameters"]), int(network["active"])
        words = [cell] if name == "actor" else []
        words += [network["wiring"]] if network["wiring"] else []
        words.append(counted(total, "parameter") + (f", {active:,} of them wired" if active != total else ""))
        yield name, "; ".join(words)
    yield "trained", trained(agent.progress)
    if environment is not None:
        around = "".join(f", in {one['name']}" for one in environment.get("wrappers", ()))
        yield "environment", f"{environment['id']}{around}"
    if len(agent.seeds) > 1:
        yield "seeds", f"{len(agent.seeds)} side by side: {listed(agent.seeds)}"
    yield "computes", f"{agent.kernel} kernel, on {agent.device}"


def actions(n: int, units: Mapping[str, Any], *, discrete: bool) -> str:
    """Say what an agent puts out.

    Args:
        n: numbers of an action, or how many choices there are.
        units: of the environment, as :meth:`velora.envs.ActionUnits.describe` gives them; empty if none is known yet.
        discrete: whether an action is a choice.

    Example:
        >>> actions(1, {"action_low": [-2.0], "action_high": [2.0]}, discrete=False)
        '1 number, -2 to 2'
        >>> actions(3, {}, discrete=True)
        'one of 3 actions'
    """
    if discrete:
        return f"one of {counted(n, 'action')}"
    low, high = units.get("action_low", [-1.0]), units.get("action_high", [1.0])
    return f"{counted(n, 'number')}, {min(low):g} to {max(high):g}"


def trained(progress: Sequence[Counters]) -> str:
    """Say how far training is; of several seeds from the one that stands first to the one that stands last."""
    if not any(one.step for one in progress):
        return "not yet"
    parts = []
    for name in ("episode", "step", "update"):
        low, high = (pick(getattr(one, name) for one in progress) for pick in (min, max))
        parts.append(counted(low, name) if low == high else f"{low:,} to {high:,} {name}s")
    return ", ".join(parts)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun.

    Example:
        >>> counted(1, "step"), counted(2000, "step")
        ('1 step', '2,000 steps')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
