"""Find out whether an environment shows images, and whether they are those that an agent sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from velora.core.errors import SpaceError
from velora.envs.spaces import environment_name

if TYPE_CHECKING:
    import gymnasium as gym

SMALLEST_SIDE = 8
"""Height and width below which a box of several axes isn't taken for an image."""


def image_settings(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Return what an agent for an environment takes as ``image`` and ``image_range``; nothing if it shows no images.

    An image is a box with finite bounds of two to four axes, whose height and width are 8 or more: (H, W), (H, W, C),
    or a stack of frames, (N, H, W) or (N, H, W, C).

    Example:
        >>> import gymnasium as gym
        >>> image_settings(gym.make("CarRacing-v3")), image_settings(gym.make("Pendulum-v1"))
        ({'image': (96, 96, 3), 'image_range': None}, {})
    """
    seen, image = env.observation_space, _image(env)
    if image is None or not _is_bounded(seen):
        return {}
    sides = image[-2:] if len(image) == 2 or image[-1] > image[-3] else image[-3:-1]
    if min(sides) < SMALLEST_SIDE:
        return {}
    return {"image": image, "image_range": None if _holds_bytes(seen) else _range(seen)}


def covering_wrapper(env: gym.Env[Any, Any]) -> str | None:
    """Name the wrapper, if any, that makes something else of an environment's images.

    Example:
        >>> import gymnasium as gym
        >>> from velora.envs.wrappers import PreviousActionReward
        >>> covering_wrapper(PreviousActionReward(gym.make("CarRacing-v3")))
        'PreviousActionReward'
    """
    from gymnasium import Wrapper

    outer = env
    while isinstance(outer, Wrapper) and not image_settings(outer):
        if image_settings(outer.env):
            return type(outer).__name__
        outer = outer.env
    return None


def check_image(env: gym.Env[Any, Any], image: tuple[int, ...], image_range: tuple[float, float] | None) -> None:
    """Compare an environment's observations with the images that an agent sees.

    Raises:
        SpaceError: if they have another shape, or pixels of another kind or range.
    """
    name, seen, shape = environment_name(env), env.observation_space, _image(env)
    if shape is not None and shape != image:
        raise SpaceError(f"{name}: observations are images of {shape}, the agent expects image={image}")
    if not _is_bounded(seen):
        raise SpaceError(
            f"{name}: expected images with finite bounds, got {type(seen).__name__} {seen.shape} without; bound them "
            "with gymnasium.wrappers.TransformObservation, or make the agent without image"
        )
    if image_range is None:
        if not _holds_bytes(seen):
            raise SpaceError(
                f"{name}: expected images of bytes (uint8), got {seen.dtype}; make the agent with "
                f"image_range={_range(seen)}"
            )
    elif not image_range[0] <= _range(seen)[0] <= _range(seen)[1] <= image_range[1]:
        raise SpaceError(f"{name}: pixels lie in {_range(seen)}, the agent expects image_range={image_range}")


def _image(env: Any) -> tuple[int, ...] | None:
    """Return the shape that an observation has, or had before it was flattened, if that can be an image's."""
    from gymnasium import Wrapper
    from gymnasium.spaces import Box

    seen = env.observation_space
    size = int(np.prod(seen.shape)) if isinstance(seen, Box) else None
    while isinstance(seen, Box) and int(np.prod(seen.shape)) == size:
        if 2 <= len(seen.shape) <= 4:
            return seen.shape
        if not isinstance(env, Wrapper):
            return None
        env = env.env
        seen = env.observation_space
    return None


def _is_bounded(seen: Any) -> bool:
    from gymnasium.spaces import Box

    return isinstance(seen, Box) and bool(np.isfinite(seen.low).all() and np.isfinite(seen.high).all())


def _holds_bytes(seen: Any) -> bool:
    return bool(seen.dtype == np.uint8)


def _range(seen: Any) -> tuple[float, float]:
    return float(seen.low.min()), float(seen.high.max())
