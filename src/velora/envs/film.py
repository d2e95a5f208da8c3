"""Video files from pictures of an environment: MP4 by imageio-ffmpeg's encoder, animated WebP and GIF by Pillow."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from velora.core.errors import SettingError
from velora.core.extras import how_to_install
from velora.core.types import Array

FORMATS = (".mp4", ".webp", ".gif")
_ENCODER, _IMAGES = "imageio_ffmpeg", "PIL"
_SMALL = 256
"""Height in pixels up to which a picture of a WebP or a GIF stays as it is; higher ones are halved."""


def default_format() -> str:
    """Return the best format that this machine can write: ``.mp4``, or ``.webp`` where its encoder is missing.

    Raises:
        SettingError: if it can write none.
    """
    for suffix in (".mp4", ".webp"):
        if _is_installed(_package(suffix)):
            return suffix
    raise SettingError(f"video: needs imageio-ffmpeg or Pillow, and neither is installed; {how_to_install('video')}")


def check_format(path: Path) -> None:
    """Check that a video can be written to a path.

    Raises:
        SettingError: if nothing here writes its format; the message says what to do.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise SettingError(f"video: expected a name that ends in {', '.join(FORMATS)}, got {path.name!r}")
    if not _is_installed(_package(suffix)):
        missing = "imageio-ffmpeg" if suffix == ".mp4" else "Pillow"
        other = "" if suffix != ".mp4" or not _is_installed(_IMAGES) else f", or name it {path.stem}.webp"
        raise SettingError(f"video: {suffix} needs {missing}, which isn't installed; {how_to_install('video')}{other}")


def _package(suffix: str) -> str:
    return _ENCODER if suffix == ".mp4" else _IMAGES


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


class _Writer(Protocol):
    """Writer of one file."""

    def add(self, picture: Array) -> None: ...

    def close(self) -> None: ...


class Film:
    """A video file, whole once the ``with`` block is left, and absent after an error in it.

    Shapes:
        picture: (H, W, 3), bytes; all of one size.

    Args:
        path: the file; its ending is the format, one of ``FORMATS``.
        fps: pictures per second.

    Attributes:
        n_pictures: so many were added.

    Raises:
        SettingError: if the format can't be written here.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        check_format(path)
        self.path, self.n_pictures = path, 0
        self._fps = max(1.0, fps)
        self._part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix.lower()}")
        self._shape: tuple[int, ...] = ()
        self._writer: _Writer | None = None

    def add(self, picture: Any) -> None:
        """Add a picture.

        Raises:
            SettingError: if it is none, or of another size than the first.
        """
        pixels = np.asarray(picture)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            found = type(picture).__name__ if pixels.ndim != 3 else f"{pixels.dtype} of shape {pixels.shape}"
            raise SettingError(f"video: expected render() to give a picture, (height, width, 3) bytes, got {found}")
        if self._writer is None:
            self._shape = pixels.shape
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()  # an encoder would say less of a place that can't be written
            make = _Encoder if self.path.suffix.lower() == ".mp4" else _Animation
            self._writer = make(self._part, self._fps, pixels.shape)
        if pixels.shape != self._shape:
            raise SettingError(f"video: expected pictures of one size, got {pixels.shape} after {self._shape}")
        self._writer.add(pixels)
        self.n_pictures += 1

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Put the file in its place, or remove what there is of it."""
        try:
            if self._writer is not None:
                self._writer.close()
                if kind is None:
                    os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)


class _Encoder:
    """Writer of an MP4, by a process that encodes H.264; a line or column too many for it is doubled at the edge."""

    def __init__(self, path: Path, fps: float, shape: tuple[int, ...]) -> None:
        import imageio_ffmpeg

        height, width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        self._odd = ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0))
        self._to: Generator[None, Any, None] = imageio_ffmpeg.write_frames(
            str(path),
            (width, height),
            fps=fps,
            macro_block_size=1,
            ffmpeg_log_level="error",
            output_params=["-threads", "1", "-movflags", "+faststart"],
        )
        self._to.send(None)

    def add(self, picture: Array) -> None:
        """Send one picture."""
        try:
            self._to.send(np.ascontiguousarray(np.pad(picture, self._odd, mode="edge")))
        except (OSError, StopIteration) as error:  # whose text is the whole command
            raise OSError("the encoder has ended; standard error may say why, and whether the disk is full") from error

    def close(self) -> None:
        """Let the process end."""
        self._to.close()


class _Animation:
    """Writer of an animated WebP or GIF; its pictures are in memory until the end."""

    def __init__(self, path: Path, fps: float, shape: tuple[int, ...]) -> None:
        self._path, self._duration_ms, self._halve = path, round(1000.0 / fps), shape[0] > _SMALL
        self._pictures: list[Any] = []

    def add(self, picture: Array) -> None:
        """Keep one picture."""
        from PIL import Image

        image = Image.fromarray(picture)
        self._pictures.append(image.reduce(2) if self._halve else image)

    def close(self) -> None:
        """Write the file."""
        first, *others = self._pictures
        options: dict[str, Any] = {"save_all": True, "append_images": others, "duration": self._duration_ms, "loop": 0}
        if self._path.suffix == ".webp":
            options |= {"quality": 80, "method": 2}
        first.save(self._path, **options)
