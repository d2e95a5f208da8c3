"""Rules for settings that have to fit together: each returns the problem in one line, or ``None``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from velora.models.settings import LiquidSettings, PPOSettings, REDQSettings, ReplaySettings, SACSettings


def layers_have_units(s: LiquidSettings) -> str | None:
    """Ask for hidden layers of a critic that have units."""
    if any(not 1 <= units <= 65_536 for units in s.critic_units):
        return f"critic_units: expected layers of 1 to 65536 units, got {s.critic_units}"
    return None


def image_fits(s: LiquidSettings) -> str | None:
    """Ask for an image with the numbers of an observation, a range that is one, and nothing beside the image."""
    image, between = s.image, s.image_range
    if image is None:
        return None
    if not 2 <= len(image) <= 4 or min(image) < 1:
        return f"image: expected (height, width), (height, width, channels) or a stack of such frames, got {image}"
    if math.prod(image) != s.state_dim:
        return f"image: {image} holds {math.prod(image)} numbers, expected state_dim={s.state_dim} of them"
    if between is not None and not between[0] < between[1]:
        return f"image_range: expected the least value and a larger one, got {between}"
    if s.time in ("input", "both"):
        return f"time: an image has no place for the time beside it; use gate or none, got {s.time!r}"
    if s.normalize_obs:
        return "normalize_obs: an image is scaled by its range already; expected false, got true"
    return None


def windows_fit_the_buffer(s: ReplaySettings) -> str | None:
    """Ask for windows that a buffer holds, and in which a recurrent critic has something to remember."""
    window = s.sequence_length + s.burn_in
    if s.critic == "recurrent" and window < 2:
        return "critic: a recurrent one remembers within a window, so sequence_length + burn_in has to be 2 or more"
    if window > s.buffer_size:
        return f"buffer_size: {s.buffer_size} can't hold one window of {window} steps (burn_in + sequence_length)"
    return None


def entropy_can_be_reached(s: SACSettings) -> str | None:
    """Ask for no more entropy than discrete actions can have."""
    most = math.log(s.action_dim)
    if s.discrete and s.target_entropy is not None and not 0.0 <= s.target_entropy <= most:
        return (
            f"target_entropy: that of {s.action_dim} choices lies between 0 and {most:.4g} nats, got {s.target_entropy}"
        )
    return None


def subset_fits_the_ensemble(s: REDQSettings) -> str | None:
    """Ask for no more critics in a target than there are."""
    if s.n_target_critics > s.n_critics:
        return f"n_target_critics: expected at most n_critics={s.n_critics}, got {s.n_target_critics}"
    return None


def windows_fill_the_rollout(s: PPOSettings) -> str | None:
    """Ask for a rollout that is cut into whole windows."""
    if s.rollout_steps % s.sequence_length:
        return f"rollout_steps: expected a multiple of sequence_length ({s.sequence_length}), got {s.rollout_steps}"
    return None
