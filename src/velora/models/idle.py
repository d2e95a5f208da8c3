"""Which settings have no effect beside which others, as a table; and how that is told.

The rule: a setting that differs from its default and has no effect is never taken in silence. It is

- refused, where another setting that it needs is missing, or discrete actions leave nothing for it;
- one warning, where the other setting is one that comparisons go over (a cell, a critic, a wiring, an amount that may
  be 0), since a sweep over that one shouldn't end there;
- one warning too, where the settings come from a checkpoint or from a run that is gone on with: they were taken once.

Settings that ask for a network that can't be built, such as mixed memory of a GRU, are the cells' to refuse.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from velora.core.errors import SettingError
from velora.models.options import plain
from velora.nn.cells.registry import CELLS

log = logging.getLogger(__name__)

_TIMELESS = tuple(name for name, row in CELLS.items() if not row.takes_time)


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting that has no effect where others have certain values.

    Attributes:
        setting: which one.
        where: of each of the others, the values beside which it has none.
        why: completes "since ...".
        is_refused: whether that is an error; see the rule.
        only: the values of it that have none; empty are all but the default.
        unless: values that ask for the same as the others, so that there is nothing to tell.
    """

    setting: str
    where: Mapping[str, tuple[object, ...]]
    why: str
    is_refused: bool = False
    only: tuple[object, ...] = ()
    unless: tuple[object, ...] = ()

    def holds(self, values: Mapping[str, Any], default: object) -> bool:
        """Return whether it is so for these settings, given what the setting is by default."""
        value = values.get(self.setting, default)
        if value == default or value in self.unless or (self.only and value not in self.only):
            return False
        return all(name in values and values[name] in said for name, said in self.where.items())

    def message(self, values: Mapping[str, Any]) -> str:
        """Describe it in a line that begins with the setting."""
        beside = " and ".join(f"{name}={values[name]!r}" for name in self.where)
        return (
            f"{self.setting}: {values[self.setting]!r} has no effect with {beside}, since {self.why}; "
            f"leave {self.setting} out, or change {' or '.join(self.where)}"
        )


IDLE: tuple[Idle, ...] = (
    Idle("initial_std", {"discrete": (True,)}, "discrete actions have no deviation", is_refused=True),
    Idle("noise_decay_steps", {"noise_final_std": (None,)}, "the noise goes to no other deviation", is_refused=True),
    Idle("image_range", {"image": (None,)}, "it is that of an image's pixels", is_refused=True),
    Idle("critic_units", {"critic": ("liquid",)}, "a liquid critic is a circuit of the policy's size"),
    Idle("burn_in", {"cell": ("memoryless",)}, "there is no recurrent state to bring up to date"),
    Idle("sparsity", {"wiring": ("dense",)}, "a dense wiring has all synapses"),
    Idle("time", {"cell": _TIMELESS}, "the cell has no gate for the time, so that it acts as 'input'", only=("both",)),
    Idle("noise_correlation", {"noise_std": (0.0,), "noise_final_std": (None, 0.0)}, "there is no noise"),
    Idle("target_noise", {"target_noise_clip": (0.0,)}, "all of it is clipped", unless=(0.0,)),
    Idle("target_noise_clip", {"target_noise": (0.0,)}, "there is no noise to clip", unless=(0.0,)),
    *(
        Idle(setting, {"gamma": (0.0,)}, "what comes next doesn't count")
        for setting in ("tau", "gae_lambda", "target_noise", "target_noise_clip", "n_target_critics")
    ),
)
"""Every such setting. An agent may lack some of them; defaults are those of its constructor."""

_found: ContextVar[Literal["refused", "told", "known"]] = ContextVar("what becomes of idle settings", default="refused")


@contextmanager
def taken_over(*, is_known: bool = False) -> Iterator[None]:
    """Make agents from settings that were taken before: none is refused in this block.

    Args:
        is_known: whether they were told of already, by the agent that is copied; then nothing is said.
    """
    token = _found.set("known" if is_known else "told")
    try:
        yield
    finally:
        _found.reset(token)


def check(made: type, values: Mapping[str, Any]) -> None:
    """Refuse settings that have no effect, or warn of them, as the rule has it.

    Args:
        made: the class of the agent, whose constructor has the defaults.
        values: of all its settings, checked.

    Raises:
        SettingError: a line that names the setting and the one beside which it has no effect.
    """
    given = inspect.signature(made).parameters
    defaults = {name: plain(p.default) for name, p in given.items() if p.default is not p.empty}
    mode = _found.get()
    for row in IDLE:
        if row.setting in defaults and row.holds(values, defaults[row.setting]):
            if row.is_refused and mode == "refused":
                raise SettingError(row.message(values))
            if mode != "known":
                log.warning("%s", row.message(values))
