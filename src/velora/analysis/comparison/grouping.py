"""Grouping of runs: those of one curve are its seeds, those of one environment share a panel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from velora.analysis.collection import Runs, as_text
from velora.analysis.run import Run
from velora.analysis.selection import full_name
from velora.analysis.table import headings
from velora.core.errors import SettingError
from velora.core.terminal import visible

AGENT, ENV = "agent", "env"
_ENV_SETTINGS = "env."


@dataclass(frozen=True, slots=True)
class Place:
    """Where the seeds of a run belong.

    Attributes:
        curve: name of the curve.
        panel: name of the panel: the environment, and the settings of it that make it another one.
        order: what curves are ordered by.
        known: what the run is, by name: its agent and its settings, as text.
    """

    curve: str
    panel: str
    order: tuple[tuple[int, float, str], ...]
    known: Mapping[str, str]


def resolve(by: Sequence[str], runs: Runs) -> tuple[str, ...]:
    """Return the full names of what curves are to be told apart by.

    Args:
        by: ``agent``, or settings; the last part of a name is enough where it is the only one.

    Raises:
        SettingError: if there is no such setting, or several end so; or if it is ``env`` and there are several.
    """
    return tuple(dict.fromkeys(_full_name(name, runs) for name in by))


def find_places(runs: Runs, by: Sequence[str] | None = None) -> list[Place]:
    """Assign a curve and a panel to each run.

    Runs with the same values of what ``by`` names are seeds of one curve. Environments have a panel each; so have
    environments that differ in settings, such as a mask, which ``by`` doesn't name.

    Args:
        by: full names of :func:`resolve`; ``None`` is the agent and every setting in which runs differ.
    """
    known = _settings(runs)
    varying = {
        agent: _varying([own for own in known if own[AGENT] == agent])
        for agent in sorted({own[AGENT] for own in known})
    }
    named = _names_of_curves(by, varying)
    short = headings(sorted({name for names in named.values() for name in names}))
    shown = {name: _short({own[name] for own in known if name in own}) for name in short}
    aside = [] if by is None else [n for n in runs.differing() if n.startswith(_ENV_SETTINGS) and n not in by]
    short_aside = headings(aside)
    places = []
    for own in known:
        values = [(name, own[name]) for name in named[own[AGENT]] if name in own]
        written = [value if name in (AGENT, ENV) else f"{short[name]}={shown[name][value]}" for name, value in values]
        seen = [f"{short_aside[name]}={own[name]}" for name in aside if name in own]
        curve, panel = ", ".join(written) or own[AGENT], ", ".join([own[ENV], *seen])
        places.append(Place(visible(curve), visible(panel), tuple(_sort_key(value) for _, value in values), own))
    return places


def pooled(places: Sequence[Place], curve: str, panel: str) -> dict[str, list[str]]:
    """Return what the runs of one curve differ in, by name, with the values there are."""
    alike = [place.known for place in places if (place.curve, place.panel) == (curve, panel)]
    return {name: _values(alike, name) for name in _varying(alike)}


def _full_name(name: str, runs: Runs) -> str:
    if name == ENV:
        several = sorted({run.environment for run in runs})
        if len(several) > 1:
            raise SettingError(
                f"by=env: returns of different environments ({', '.join(several)}) don't compare in one panel; each "
                "has a panel of its own already, so leave env out of by"
            )
        return ENV
    return name if name == AGENT else full_name(name, runs.setting_names(), word="by", others=(AGENT,))


def _settings(runs: Runs) -> list[dict[str, str]]:
    """Return what each run is: its agent, environment and settings, with the defaults that only others name."""
    tasks: dict[tuple[str, str], Runs] = {}
    for run in runs:
        tasks.setdefault(_task(run), Runs()).append(run)
    settings = [tasks[_task(run)].settings(run) for run in runs]
    return [
        {AGENT: run.agent, ENV: run.environment, **{name: as_text(value) for name, value in own.items()}}
        for run, own in zip(runs, settings, strict=True)
    ]


def _task(run: Run) -> tuple[str, str]:
    return run.agent, run.environment


def _varying(known: Sequence[Mapping[str, str]]) -> list[str]:
    """List what runs differ in within an environment: the agent, and settings that two of them have."""
    found: dict[str, None] = {}
    for environment in dict.fromkeys(own[ENV] for own in known):
        alike = [own for own in known if own[ENV] == environment]
        for name in sorted({name for own in alike for name in own}):
            if name != ENV and len(_values(alike, name)) > 1:
                found[name] = None
    return list(found)


def _values(known: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return sorted({own[name] for own in known if name in own}, key=_sort_key)


def _names_of_curves(by: Sequence[str] | None, varying: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return, for each agent, what its curves are named by."""
    if by is not None:
        return {agent: list(by) for agent in varying}
    agents = [AGENT] if len(varying) > 1 else []
    return {agent: [*agents, *names] for agent, names in varying.items()}


def _short(values: Collection[str]) -> dict[str, str]:
    """Write numbers with as few digits, three at least, as keep them apart; other text stays as it is."""
    for digits in range(3, 17):
        short = {value: _rounded(value, digits) for value in values}
        if len(set(short.values())) == len(values):
            return short
    return {value: value for value in values}


def _rounded(text: str, digits: int) -> str:
    if "." not in text or len(text) <= len("0.0001"):
        return text
    try:
        rounded = f"{float(text):.{digits}g}"
    except ValueError:
        return text
    return rounded if len(rounded) < len(text) else text


def _sort_key(text: str) -> tuple[int, float, str]:
    """Order numbers by size and before texts."""
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text
