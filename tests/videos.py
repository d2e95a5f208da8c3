"""Read video files back, for tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np


def pictures(path: Path) -> list[Any]:
    """Decode every picture of a video, (H, W, 3) each."""
    if path.suffix == ".mp4":
        import imageio_ffmpeg

        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), *raw], capture_output=True, check=True)
        width, height = map(int, re.findall(rb"rawvideo.* (\d+)x(\d+)[, ]", done.stderr)[-1])
        return list(np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3))
    from PIL import Image, ImageSequence

    with Image.open(path) as animation:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
