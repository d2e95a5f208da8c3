"""Turn a video into an animated GIF, for what plays nothing else."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, MOST_FRAMES = 256, 150
"""Pixels and frames at most: a GIF of more takes megabytes."""


def as_gif(path: Path) -> tuple[bytes, tuple[int, int]]:
    """Read a video, and write it smaller and with fewer frames.

    Args:
        path: of a GIF or WebP; of anything else, such as mp4, with the package imageio-ffmpeg.

    Returns:
        The bytes of the file, and its width and height in pixels.

    Raises:
        ModuleNotFoundError: if it can't be read without that package.
        OSError: if it can't be read.
    """
    n_frames, duration_s, frames = _open(path)
    every = -(-n_frames // MOST_FRAMES)
    kept = [_smaller(frame) for k, frame in enumerate(frames) if k % every == 0]
    if not kept:
        raise OSError(f"{path}: a video without frames")
    buffer = io.BytesIO()
    pause_ms = max(20, round(1000 * duration_s / len(kept)))
    kept[0].save(buffer, "GIF", save_all=True, append_images=kept[1:], duration=pause_ms, loop=0)
    return buffer.getvalue(), kept[0].size


@contextmanager
def playable(path: Path) -> Iterator[Path]:
    """Give the path of a video that everything plays: of a WebP that of a GIF made from it, which is deleted again."""
    if path.suffix.lower() != ".webp":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="velora-video-") as directory:
        gif = Path(directory) / f"{path.stem}.gif"
        gif.write_bytes(as_gif(path)[0])
        yield gif


def _open(path: Path) -> tuple[int, float, Iterator[Image]]:
    """Return how many frames a video has, its length in seconds, and its frames."""
    from PIL import Image, ImageSequence

    if path.suffix.lower() in (".gif", ".webp"):
        with Image.open(path) as animation:
            frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(animation)]
            pause_ms = animation.info.get("duration") or 40
        return len(frames), len(frames) * pause_ms / 1000, iter(frames)
    import imageio_ffmpeg

    n_frames, duration_s = imageio_ffmpeg.count_frames_and_secs(str(path))
    reader = imageio_ffmpeg.read_frames(str(path))
    size = next(reader)["size"]
    return n_frames, duration_s, (Image.frombytes("RGB", size, data) for data in reader)


def _smaller(frame: Image) -> Image:
    width, height = frame.size
    if width <= WIDTH:
        return frame
    return frame.resize((WIDTH, max(1, round(height * WIDTH / width))))
