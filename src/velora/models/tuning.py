"""Settings that change while an agent trains, those of each seed by themselves."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from velora.core.errors import SettingError
from velora.core.names import did_you_mean
from velora.models.exploration import CorrelatedNoise

if TYPE_CHECKING:
    from velora.models.agent import Agent

Values: TypeAlias = tuple[tuple[str, float], ...]
NOISE = "noise_std"


class _Own(NamedTuple):
    """What the values of a seed lead to: all its settings, learning rates that change, and the values of updates."""

    settings: Any
    rates: dict[str, float]
    values: Values
    baked: Values


class Tuning:
    """Keep what the settings of every seed are at the moment, where they aren't those that the agent was made with.

    Learning rates are the optimizers', the noise is the exploration's, and all else is read by ``training_step``. The
    agent's own ``settings`` stay what they are, in checkpoints too. Seeds whose values differ, as after a kill, learn
    one after another.
    """

    def __init__(self, agent: Agent) -> None:
        self._held_by = weakref.ref(agent)  # a cycle would keep the buffer of a dropped agent
        self._of: list[dict[str, float]] = [{} for _ in agent.seeds]
        self._made: list[_Own | None] = [None for _ in agent.seeds]
        self._networks: dict[str, tuple[str, ...]] = {}

    @property
    def _agent(self) -> Agent:
        agent = self._held_by()
        assert agent is not None, "the agent was dropped; keep a reference to it"
        return agent

    def __bool__(self) -> bool:
        """Return whether any setting is another one."""
        return bool(self._networks)

    def check(self, name: str, values: Sequence[float]) -> None:
        """Check that a setting may change to these values while the agent trains.

        Raises:
            SettingError: naming the setting, and what may be changed instead.
        """
        agent, kind = self._agent, self._agent.settings_type
        options = {one.name: one for one in kind.options()}
        tunable = [one for one in options if self._has_rate(one) or options[one].live or self._is_noise(one)]
        if name not in options:
            hint = did_you_mean(name, tunable, f"there are {', '.join(tunable)}")
            raise SettingError(f"schedule.setting: {type(agent).__name__} has no setting {name!r}; {hint}")
        if name not in tunable:
            raise SettingError(
                f"schedule.setting: {name} is read when training begins, so it can't change later; choose one of "
                f"{', '.join(tunable)}"
            )
        if name == NOISE and agent.settings.noise_final_std is not None:
            raise SettingError("schedule.setting: noise_std changes already, by noise_final_std; leave that out")
        for value in values:
            if value == 0.0 and self._has_rate(name):  # which an agent can't be made with, but may come to
                continue
            kind.check({**agent.settings.model_dump(), name: _as(options[name].kind, value)})

    def change(self, seed_index: int, name: str, value: float) -> None:
        """Change a setting of a seed, which was checked."""
        if name not in self._networks:
            self._networks[name] = tuple(self._rated(name))
        kind = type(self._agent.settings).model_fields[name].annotation
        self._of[seed_index][name] = _as(kind, value)
        self._made[seed_index] = None
        if name == NOISE and isinstance(self._agent.exploration, CorrelatedNoise):
            self._agent.exploration.set_std(seed_index, value)

    def clear(self) -> None:
        """Go back to the settings that the agent was made with."""
        if not self:
            return
        rates = self._agent.learning_rates()
        for network in self._rated_networks():
            self._agent.optimizers[network].param_groups[0]["lr"] = rates[network]
        if isinstance(self._agent.exploration, CorrelatedNoise):
            self._agent.exploration.forget_std()
        self._networks, self._of, self._made = {}, [{} for _ in self._of], [None for _ in self._of]

    def parts(self, rows: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Split seeds into those whose updates are alike."""
        if len(rows) < 2 or not self:
            return [rows]
        found: dict[Values, list[int]] = {}
        for k in rows:
            found.setdefault(self._own(k).values, []).append(k)
        return [tuple(part) for part in found.values()]

    def baked(self, seed_index: int) -> Values:
        """Return the values of a seed that a recorded update holds as they were."""
        return self._own(seed_index).baked

    @contextmanager
    def applied(self, seed_index: int) -> Iterator[None]:
        """Make an update by the settings of a seed."""
        agent, before = self._agent, self._agent.settings
        if not self:
            yield
            return
        own = self._own(seed_index)
        for network, rate in own.rates.items():
            agent.optimizers[network].param_groups[0]["lr"] = rate
        agent.settings = own.settings
        try:
            yield
        finally:
            agent.settings = before

    def _own(self, seed_index: int) -> _Own:
        """Return what the values of a seed lead to, made anew after a change."""
        made = self._made[seed_index]
        if made is None:
            made = self._made[seed_index] = self._make(self._of[seed_index])
        return made

    def _make(self, values: dict[str, float]) -> _Own:
        agent, before = self._agent, self._agent.settings
        agent.settings = settings = before.model_copy(update=values)
        try:
            rates = agent.learning_rates()
        finally:
            agent.settings = before
        of_update = tuple((name, value) for name, value in values.items() if name != NOISE)
        baked = tuple((name, value) for name, value in of_update if not self._networks[name])
        return _Own(settings, {n: rates[n] for n in self._rated_networks()}, of_update, baked)

    def _rated_networks(self) -> set[str]:
        """Name the networks whose learning rate changes."""
        return {network for networks in self._networks.values() for network in networks}

    def rates(self, seed_index: int) -> dict[str, float]:
        """Return the learning rate of every network of a seed."""
        with self.applied(seed_index):
            return {name: float(one.param_groups[0]["lr"]) for name, one in self._agent.optimizers.items()}

    def _has_rate(self, name: str) -> bool:
        return isinstance(getattr(self._agent.settings, name), float) and any(self._rated(name))

    def _is_noise(self, name: str) -> bool:
        return name == NOISE and isinstance(self._agent.exploration, CorrelatedNoise)

    def _rated(self, name: str) -> Iterator[str]:
        """Find the networks whose learning rate is a setting."""
        agent = self._agent
        before = agent.settings
        value = getattr(before, name)
        if not isinstance(value, float):
            return
        rates = agent.learning_rates()
        try:
            agent.settings = before.model_copy(update={name: 0.5 * value + 1e-12})
            changed = agent.learning_rates()
        finally:
            agent.settings = before
        yield from (network for network, rate in rates.items() if changed[network] != rate)


def _as(kind: Any, value: float) -> Any:
    """Round a value for a setting that is a whole number."""
    return round(value) if kind is int else value
