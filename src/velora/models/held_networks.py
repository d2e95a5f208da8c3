"""The networks of an agent, and how closely they are looked at for what was done to them from outside."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, final

from torch import nn

from velora.core.errors import SettingError
from velora.nn.flat import FlatParameters
from velora.nn.held import Held


@final
class Networks(dict[str, nn.Module]):
    """Networks by name, none of which can be replaced; a copy is an ordinary dict."""

    def __setitem__(self, name: str, network: nn.Module) -> None:
        """Refuse to replace a network.

        Raises:
            SettingError: always.
        """
        self._refuse(name)

    def __delitem__(self, name: str) -> None:
        """Refuse to take a network away.

        Raises:
            SettingError: always.
        """
        self._refuse(name)

    def _refuse(self, name: str) -> None:
        raise SettingError(
            f"networks[{name!r}]: can't be replaced or taken away, since Velora computes with the network as it was "
            "made; take weights over with load_state_dict, or make another agent"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@final
class HeldNetworks:
    """All networks of an agent and their memory, brought together when something was done to the networks.

    Attributes:
        are_shown: somebody outside of the agent has asked for the networks, and may change them.

    Args:
        flats: the memory of each.
        on_other_wiring: a method that is called when a network got another wiring; its object isn't kept alive, since
            a cycle of references would keep what it holds.
    """

    def __init__(self, flats: Mapping[str, FlatParameters], *, on_other_wiring: Callable[[], None]) -> None:
        self._held = {name: Held(name, flat) for name, flat in flats.items()}
        self.are_shown = False
        self._trained = [held for held in self._held.values() if held.flat.gradient is not None]
        self._on_other_wiring = weakref.WeakMethod(on_other_wiring)

    def look_at(self, name: str) -> None:
        """Look at one network, at a cost of about a microsecond if nothing was done to it.

        Raises:
            SettingError: if something was done that Velora can't compute with; see :class:`velora.nn.held.Held`.
        """
        if not self._held[name].is_as_left():
            self.take_over()

    def look_before_training(self) -> None:
        """Look at all networks closely, and follow which of them are frozen.

        Raises:
            SettingError: as :meth:`look_at`, and if a part of a network is frozen, or a gradient has a hook, which
                nothing would call.
        """
        self.take_over()
        for held in self._held.values():
            held.check_trained()

    def look_in_training(self, seed_index: int | None = None) -> None:
        """Look at all networks while a run is going on, in which no network may get another wiring.

        Args:
            seed_index: of the seed whose masked numbers to look at; ``None`` looks at all.

        Raises:
            SettingError: as :meth:`look_before_training`, and if a network got another wiring.
        """
        if not all(held.is_as_left(seed_index) and held.is_trained_as_left() for held in self._held.values()):
            self._follow_in_training()

    def look_at_trained(self) -> None:
        """Look at the networks that are trained, between two steps; their targets are looked at as an episode begins.

        Raises:
            SettingError: as :meth:`look_in_training`.
        """
        for held in self._trained:
            if not (held.is_as_left() and held.is_trained_as_left()):
                self._follow_in_training()
                return

    def _follow_in_training(self) -> None:
        if self.take_over():
            raise SettingError(
                "train: a network got another wiring (its masks were written to), which can't change while a run goes "
                "on; end the run, change it, and train again"
            )
        self.look_before_training()

    def show_gradients(self, name: str) -> None:
        """Let the parameters of a network have the gradients that were just computed, for hooks to look at."""
        self._held[name].show_gradients()

    def follow_gradients(self, name: str) -> None:
        """Take over gradients that a hook has replaced.

        Raises:
            SettingError: if one was taken away, or is of another shape or type.
        """
        self._held[name].follow_gradients()

    def take_over(self) -> bool:
        """Bring all networks and their memory together, and return whether one got another wiring.

        Raises:
            SettingError: as :meth:`look_at`.
        """
        are_wired_anew = [held.take_over() for held in self._held.values()]
        if any(are_wired_anew) and (follow := self._on_other_wiring()) is not None:
            follow()
        return any(are_wired_anew)
