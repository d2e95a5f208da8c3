"""The machine that is driven: three methods, and a reading of its sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import PlantError

Floats = NDArray[np.float32]


class Reading(NamedTuple):
    """What the sensors said at one moment.

    Attributes:
        obs: (O,), in the order and the units that the policy was trained on.
        time_ns: when they said it, in nanoseconds of any clock that goes on evenly; only differences count.
        begins: whether an episode begins here: the policy forgets what it saw before. After an episode's end one does,
            whatever is said.
        reward: earned since the reading before; for learning and for the report, 0 where nobody knows.
        terminated, truncated: whether the episode ended by itself, or was cut off; the next reading begins one.
    """

    obs: Floats
    time_ns: int
    begins: bool = False
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


@runtime_checkable
class Plant(Protocol):
    """The machine that is driven: what a loop needs of hardware, of a simulation, or of the far end of a socket.

    No method may wait for the hardware. One thread calls all three; only where that thread is stuck, the watchdog calls
    ``write`` from another.

    Example:
        ::

            class Motor:
                def read(self):
                    sample = self.bus.newest()
                    return None if sample is None else Reading(np.float32([sample.angle, sample.speed]), sample.time_ns)

                def write(self, action):
                    self.bus.set_voltage(float(action[0]))

                def close(self):
                    self.bus.set_voltage(0.0)
    """

    def read(self) -> Reading | None:
        """Return the newest reading that wasn't returned before; ``None`` where there is none.

        Raises:
            PlantError: if there will never be one again.
        """
        ...

    def write(self, action: NDArray[Any]) -> None:
        """Take an action, (A,), in the plant's units; of a discrete one its number. It holds until the next.

        Raises:
            PlantError: if it can't be taken.
        """
        ...

    def close(self) -> None:
        """Let go of the hardware; the loop has written the safe action before."""
        ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers that go between a plant and a policy.

    Attributes:
        n_observations: of an observation (O).
        n_actions: of an action (A); a discrete one is one number.
        low, high: bounds of the action, (A,) each.
        is_discrete: whether an action is the number of a choice.
    """

    n_observations: int
    n_actions: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    is_discrete: bool = False

    def check(self, reading: Reading) -> None:
        """Check a plant's first reading, and each of another shape than that.

        Raises:
            PlantError: if it is no :class:`Reading`, of another size, or holds what isn't finite.
        """
        if not isinstance(reading, Reading):
            raise PlantError(
                f"plant: expected read() to return a velora.drive.Reading or None, got a {type(reading).__name__}; "
                "return Reading(obs, time.monotonic_ns())"
            )
        shape = np.shape(reading.obs)
        if shape != (self.n_observations,):
            raise PlantError(
                f"plant: expected readings of {self.n_observations} numbers, as the policy takes, got {shape}; "
                "choose the plant or the checkpoint that fits the other"
            )
        if not np.isfinite(reading.obs).all():
            raise PlantError(f"plant: expected finite numbers in a reading, got {reading.obs.tolist()}")

    def safe(self, given: Any = None) -> NDArray[np.float32]:
        """Return the safe action, (A,): as given, or 0 within the bounds.

        Raises:
            PlantError: if it is of another size, or out of bounds.
        """
        low, high = (np.asarray(bounds, np.float32) for bounds in (self.low, self.high))
        if given is None:
            return np.clip(np.zeros(self.n_actions, np.float32), low, high)
        try:
            safe = np.atleast_1d(np.asarray(given, np.float32))
        except (TypeError, ValueError) as error:
            raise PlantError(f"safe: expected numbers, got {given!r}") from error
        fits = safe.shape == (self.n_actions,) and bool(((safe >= low) & (safe <= high)).all())
        if not fits or (self.is_discrete and (safe != np.rint(safe)).any()):
            raise PlantError(
                f"safe: expected {self.n_actions} {'whole ' if self.is_discrete else ''}number"
                f"{'' if self.n_actions == 1 else 's'} from {list(self.low)} to "
                f"{list(self.high)}, got {given!r}"
            )
        return safe
