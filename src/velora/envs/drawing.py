"""Environments that draw: on a machine without a screen, and which of them can be told to."""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any

import gymnasium as gym

from velora.core.errors import SpaceError

PICTURES = "rgb_array"
"""Gymnasium's render mode of environments whose ``render`` gives a picture."""
_HEADLESS = {"MUJOCO_GL": "egl", "SDL_VIDEODRIVER": "dummy"}
"""How MuJoCo and pygame draw without a screen."""


def prepare_drawing() -> None:
    """Let environments draw where there is no screen: MuJoCo by EGL, and pygame without a window.

    They read these variables of the process when they make their first picture. Those that are set already stay.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        for name, value in _HEADLESS.items():
            os.environ.setdefault(name, value)


def check_draws(spec: gym.envs.registration.EnvSpec) -> None:
    """Refuse an environment that can't be told to draw, of which Gymnasium would say that it takes other keywords.

    Raises:
        SpaceError: if its class takes no ``render_mode``.
    """
    entry: Any = spec.entry_point
    try:
        creator = gym.envs.registration.load_env_creator(entry) if isinstance(entry, str) else entry
        parameters = inspect.signature(creator).parameters
    except (ValueError, TypeError, ImportError, AttributeError):  # said better when it is made
        return
    if "render_mode" not in parameters and not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        raise SpaceError(
            f"env: {spec.id} draws no pictures, since {getattr(creator, '__name__', creator)} takes no render_mode; "
            "take it in the constructor, and return a picture from render(), (height, width, 3) bytes"
        )
