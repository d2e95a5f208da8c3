"""What recurrent states hold: how many dimensions they take up, and which quantities can be read off them linearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from velora.core.errors import ShapeError

Floats = NDArray[np.float64]


def principal_shares(states: Floats) -> Floats:
    """Return the share of variance that each principal component of states has, the largest first.

    Shapes:
        states: (samples, H). returns: (min(samples, H),), summing to 1; zeros where nothing varies.

    Source:
        Pearson 1901; by the singular values of the centred states, none of which is scaled first.
    """
    singular = np.linalg.svd(states - states.mean(0), compute_uv=False)
    total = float((singular**2).sum())
    shares: Floats = singular**2 / total if total > 0.0 else np.zeros_like(singular)
    return shares


def probe(features: Sequence[Floats], targets: Sequence[Floats]) -> Floats:
    """Return how well a linear map of features predicts each target in episodes that it wasn't fitted to: R squared.

    Every episode in turn is held out, the map fitted by least squares with an offset on the others, and the errors of
    all held-out episodes compared with the targets' own variance. 1 is perfect, 0 as good as the mean, and less is
    worse than the mean.

    Shapes:
        features: one (T, F) an episode. targets: one (T, Q) an episode.
        returns: (Q,); NaN where a target doesn't vary.

    Raises:
        ShapeError: if there are fewer than two episodes, or the two differ in length.
    """
    if len(features) < 2 or [len(one) for one in features] != [len(one) for one in targets]:
        raise ShapeError("probe: expected features and targets of the same two or more episodes")
    missed = np.zeros(targets[0].shape[1])
    for held in range(len(features)):
        x = np.concatenate([one for k, one in enumerate(features) if k != held])
        y = np.concatenate([one for k, one in enumerate(targets) if k != held])
        middle, size = x.mean(0), x.std(0)
        size = np.where(size > 1e-9 * max(1.0, float(size.max(initial=0.0))), size, np.inf)  # constants tell nothing
        weight, *_ = np.linalg.lstsq((x - middle) / size, y - y.mean(0), rcond=1e-6)
        predicted = (features[held] - middle) / size @ weight + y.mean(0)
        missed += ((targets[held] - predicted) ** 2).sum(0)
    whole = np.concatenate(list(targets))
    variance = ((whole - whole.mean(0)) ** 2).sum(0)
    varies = variance > 1e-12 * len(whole) * np.maximum(1.0, np.abs(whole).max(0)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(varies, 1.0 - missed / variance, np.nan)
    return found


def with_previous(rows: Floats) -> Floats:
    """Put each row's predecessor beside it, (T, 2 F); the first row has itself."""
    return np.concatenate((rows, np.concatenate((rows[:1], rows[:-1]))), 1)
