"""Measure how fast this core multiplies: the best product of large matrices that a library makes."""

from __future__ import annotations

import os

# Set on some machines for the sake of old OpenBLAS builds; they keep new ones from the core's widest instructions.
os.environ.pop("OPENBLAS_CORETYPE", None)
os.environ.pop("OPENBLAS_L2_SIZE", None)

import numpy as np
import torch

from benchmarks.peers.protocol import Answer, Settings, median_ms, serve

SIZES = (256, 512, 1024)


def peak(settings: Settings) -> Answer:
    """Multiply square matrices of float32 with NumPy and with PyTorch; the fastest counts."""
    best = 0.0
    for size in SIZES:
        a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
        b = torch.from_numpy(a)
        for product in (lambda a=a: a @ a, lambda b=b: b @ b):
            best = max(best, 2 * size**3 / median_ms(product, seconds=settings["seconds"] / 6) / 1e6)
    return {"peak_gflops": best}


if __name__ == "__main__":
    serve({"peak": peak})
