"""Environments go on where they were, by living their newest episodes again; where they can't, that is said."""

from __future__ import annotations

import logging

from velora.envs import Environments, statistics
from velora.envs.spaces import environment_name
from velora.training.lane import Lane
from velora.training.place import Place

log = logging.getLogger(__name__)


def live_again(lane: Lane, envs: Environments) -> None:
    """Live the newest episode of each environment of a seed again.

    This restores an environment in the middle of an unfinished episode. After an episode's end there is nothing to
    restore, but it shows whether the environment is still decided by its reset seed.

    If the episode isn't the same, one line says so. An unfinished one is left then: the loop begins another, with a
    reset seed of its own. What was lived of it stays in the buffer, where its last transition ends nothing and one that
    is a start follows.
    """
    for place in lane.places:
        if place.log.reset_seed is not None:
            difference = _live_again(place, envs)
            if difference is not None:
                _report(lane, place, environment_name(envs.envs[place.index]), difference)
                if (before := envs.at_start.get(place.index)) is not None:
                    statistics.give(envs.envs[place.index], before)  # what was lived again counts once
                place.drop()
    lane.is_running = all(place.running is not None for place in lane.places)


def _live_again(place: Place, envs: Environments) -> str | None:
    """Live one episode again; return how it differs."""
    running, is_old = place.running, not place.log.digests
    if running is None and statistics.keepers(envs.envs[place.index]):
        return None  # they are those after the episode: it would differ, and change them once more
    newest, reward, difference = place.log.replay(envs, place.index)
    if running is None or difference is not None:
        return difference
    if is_old and reward != running.reward:
        return f"it earned {reward} instead of {running.reward}"
    # A run that crashed between an episode's last step and its end closes the episode first thing.
    place.newest, running.terminated, running.truncated = newest, newest.terminated, newest.truncated
    return None


def _report(lane: Lane, place: Place, environment: str, difference: str) -> None:
    if place.running is None:
        which, follows = "last", "may not go on to the same bits"
    else:
        which, follows = "unfinished", "goes on with a fresh one, not to the same bits"
    log.warning(
        "resume: seed %d: the %s episode of %s (reset seed %d) isn't the same when it is lived again: %s; the run %s; "
        "for an exact resume, the environment has to be the same one, and decided by the seed of its reset",
        *(lane.seed, which, environment, place.log.reset_seed, difference, follows),
    )
