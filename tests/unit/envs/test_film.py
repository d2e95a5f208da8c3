"""Video files: whole or absent, with as many pictures as were added, in colours that come back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.videos import pictures
from velora.core.errors import SettingError, SpaceError
from velora.envs import EnvironmentSource, film
from velora.envs.drawing import prepare_drawing
from velora.envs.film import FORMATS, Film, check_format, default_format

needs_encoder = pytest.mark.skipif(
    not film._is_installed("imageio_ffmpeg"), reason='needs imageio-ffmpeg: pip install "velora-rl[video]"'
)
needs_images = pytest.mark.skipif(not film._is_installed("PIL"), reason='needs Pillow: pip install "velora-rl[video]"')
EVERY = [
    pytest.param(".mp4", marks=needs_encoder),
    pytest.param(".webp", marks=needs_images),
    pytest.param(".gif", marks=needs_images),
]


def shade(value: int, *, height: int = 48, width: int = 64) -> Any:
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("suffix", EVERY)
def test_pictures_come_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"shades{suffix}"
    with Film(path, fps=10) as shot:
        for value in (20, 120, 220):
            shot.add(shade(value))
    found = pictures(path)
    assert [one.shape for one in found] == [(48, 64, 3)] * 3
    assert [round(float(one.mean())) for one in found] == pytest.approx([20, 120, 220], abs=4)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@needs_encoder
def test_a_picture_of_odd_sizes_is_widened_for_the_encoder(tmp_path: Path) -> None:
    with Film(tmp_path / "odd.mp4", fps=30) as shot:
        shot.add(shade(100, height=47, width=63))
    assert [one.shape for one in pictures(tmp_path / "odd.mp4")] == [(48, 64, 3)]


@needs_images
def test_large_pictures_are_halved_where_there_is_no_encoder(tmp_path: Path) -> None:
    with Film(tmp_path / "large.webp", fps=30) as shot:
        shot.add(shade(100, height=500, width=400))
    assert [one.shape for one in pictures(tmp_path / "large.webp")] == [(250, 200, 3)]


@pytest.mark.parametrize("suffix", EVERY)
def test_an_error_leaves_what_was_there_before(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix}"
    path.write_text("an older film")

    def fail() -> None:
        with Film(path, fps=10) as shot:
            shot.add(shade(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "an older film"
    assert os.listdir(tmp_path) == [path.name]


@needs_images
def test_no_pictures_are_no_film(tmp_path: Path) -> None:
    with Film(tmp_path / "none.gif", fps=10):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("picture", "complaint"),
    [
        (None, r"expected render\(\) to give a picture, \(height, width, 3\) bytes, got NoneType"),
        (np.zeros((4, 4, 3)), r"got float64 of shape \(4, 4, 3\)"),
        ([shade(1)], "got list"),
    ],
)
def test_what_is_no_picture(picture: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=complaint), Film(tmp_path / "x.gif", fps=10) as shot:
        shot.add(picture)


@needs_images
def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    with Film(tmp_path / "x.gif", fps=10) as shot:
        shot.add(shade(1))
        with pytest.raises(SettingError, match="expected pictures of one size"):
            shot.add(shade(1, height=2))


def test_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"expected a name that ends in .mp4, .webp, .gif, got 'a.avi'"):
        check_format(Path("a.avi"))
    monkeypatch.setattr(film, "_is_installed", lambda package: package == "PIL")
    assert default_format() == ".webp"
    with pytest.raises(SettingError, match=r".mp4 needs imageio-ffmpeg, which isn't installed; .*, or name it a.webp"):
        check_format(Path("a.mp4"))
    monkeypatch.setattr(film, "_is_installed", lambda package: False)
    for suffix in FORMATS:
        with pytest.raises(SettingError, match="isn't installed"):
            check_format(Path(f"a{suffix}"))
    with pytest.raises(SettingError, match="needs imageio-ffmpeg or Pillow"):
        default_format()


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="of Linux")
def test_drawing_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    prepare_drawing()
    assert "MUJOCO_GL" not in os.environ
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("SDL_VIDEODRIVER", "mine")
    prepare_drawing()
    assert (os.environ["MUJOCO_GL"], os.environ["SDL_VIDEODRIVER"]) == ("egl", "mine")
    monkeypatch.delenv("MUJOCO_GL")


def test_an_environment_that_draws_nothing_is_refused() -> None:
    source = EnvironmentSource(lambda: gym.make("Pendulum-v1"))
    with pytest.raises(SpaceError, match="that draws pictures, render_mode='rgb_array', got None; pass its registered"):
        source.make_drawing()


class Undrawn(gym.Env[Any, Any]):
    """An environment whose author didn't think of pictures."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (2,))
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, size: float = 1.0) -> None:
        self.size = size


def test_an_environment_that_takes_no_render_mode_is_refused_by_what_it_lacks() -> None:
    gym.register("Undrawn-v0", entry_point=f"{__name__}:Undrawn")
    try:
        source = EnvironmentSource("Undrawn-v0", {"size": 2.0})
        with pytest.raises(SpaceError, match="Undrawn-v0 draws no pictures, since Undrawn takes no render_mode"):
            source.make_drawing()
        assert isinstance(source.make().unwrapped, Undrawn)
    finally:
        del gym.registry["Undrawn-v0"]
