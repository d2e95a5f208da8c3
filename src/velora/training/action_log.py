"""Actions of one episode, and digests that tell whether it is the same when it is lived again."""

from __future__ import annotations

import logging
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from velora.core.errors import CheckpointError
from velora.core.types import Action
from velora.envs import Environments, statistics
from velora.envs.spaces import environment_name
from velora.envs.vector import NO_STEP, Step

log = logging.getLogger(__name__)
MOST_KEPT = 1_000
"""Steps of an episode that has ended which a checkpoint keeps."""
_packed = struct.Struct("<dd??").pack


class Replay(NamedTuple):
    """An episode that was lived again, up to its newest answer.

    Attributes:
        reward: the sum over its steps.
        difference: how it isn't the logged one; ``None`` if it is.
    """

    newest: Step
    reward: float
    difference: str | None


class ActionLog:
    """Log of one episode: its reset seed, its actions, and digests of all that the environment answered.

    From seed and actions any environment that its reset seed decides can be restored in the middle of an episode. The
    digests tell at which step it is another episode. Each is the CRC-32 of all answers so far: observation, reward,
    ends and dt, to the bit. Keeping one for each step costs less than half a microsecond, and 8 bytes of a checkpoint.

    Attributes:
        reset_seed: ``None`` before the first episode.
        actions: in the environment's units.
        digests: after the reset and after every action; none in a log of an older version.
    """

    def __init__(self) -> None:
        self.reset_seed: int | None = None
        self.actions: list[Action] = []
        self.digests: list[int] = []

    def begin(self, reset_seed: int, first: Step) -> None:
        """Begin with an episode, whose reset was answered by ``first``; forget the one before."""
        self.reset_seed = reset_seed
        self.actions.clear()
        self.digests = [_digest(first, 0)]

    def add(self, action: Action, step: Step) -> None:
        """Add an action, which must not be changed afterwards, and its answer."""
        self.actions.append(action)
        self.digests.append(_digest(step, self.digests[-1]))

    def replay(self, envs: Environments, index: int) -> Replay:
        """Live the episode again in one of these environments, as long as it is the same one.

        A log without digests takes over those that are found.
        """
        assert self.reset_seed is not None
        newest, reward, found, n = NO_STEP, 0.0, list[int](), len(self.actions)
        try:
            for newest in envs.replay(index, seed=self.reset_seed, actions=self.actions):
                reward += newest.reward
                found.append(_digest(newest, found[-1] if found else 0))
                if self.digests and found[-1] != self.digests[len(found) - 1]:
                    what = f"step {len(found) - 1} of {n} was" if len(found) > 1 else "its reset was"
                    end = ", with the episode's end" if newest.terminated or newest.truncated else ""
                    return Replay(newest, reward, f"{what} answered differently{end}")
        except Exception as error:  # noqa: BLE001 - whatever the environment raises
            what = f"step {len(found)} of {n}" if found else "its reset"
            first_line = str(error).partition("\n")[0]
            return Replay(newest, reward, f"{what} raised {type(error).__name__}: {first_line}")
        self.digests = found
        return Replay(newest, reward, None)

    def state_dict(self, most: int | None = None) -> dict[str, Any]:
        """Return everything as numbers and arrays, of at most so many steps.

        Shapes:
            actions: (steps, A), or (steps,) of whole numbers.
            digests: (steps + 1,).
        """
        actions, digests = self.actions[:most], self.digests[: None if most is None else most + 1]
        return {
            "reset_seed": self.reset_seed,
            "actions": np.stack(actions) if actions else None,
            "digests": np.asarray(digests, np.int64) if digests else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a saved log; one of an older version has no digests, and no seed.

        Raises:
            CheckpointError: if the parts contradict each other.
        """
        actions, digests = state["actions"], state.get("digests")
        self.reset_seed = state.get("reset_seed")
        self.actions = [] if actions is None else list(np.asarray(actions))
        self.digests = [] if digests is None else np.asarray(digests).tolist()
        if self.digests and len(self.digests) != len(self.actions) + 1:
            raise CheckpointError(
                f"train_state: expected {len(self.actions) + 1} digests for {len(self.actions)} actions, found "
                f"{len(self.digests)}"
            )


def _digest(step: Step, before: int) -> int:
    """Continue the digest of the answers before with one more."""
    _, reward, terminated, truncated, dt, seen = step
    return crc32(seen, crc32(_packed(reward, dt, terminated, truncated), before))


def reset_again(envs: Environments, index: int, *, seed: int, first: Step) -> Step:
    """Begin an episode once more, and warn if that isn't answered as it was ``first``.

    An environment that is shown to somebody isn't reset again: it would be seen.
    """
    if envs.envs[index].render_mode is not None:
        return first
    if index in envs.at_start:  # what wrappers learned from the first reset isn't learned twice
        statistics.give(envs.envs[index], envs.at_start[index])
    again = envs.reset(index, seed=seed)
    if again.seen != first.seen:
        log.warning(
            "%s: two resets with the same seed gave different observations, so a resume of this run can't be exact, "
            "and evaluations don't compare; let the seed of reset() decide all that the environment draws",
            environment_name(envs.envs[index]),
        )
    return again
