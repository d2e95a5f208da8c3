"""Random numbers by position."""

from __future__ import annotations

import numpy as np
import torch

from velora.core.streams import BLOCK, DeviceStream, Stream
from velora.core.types import Array


def make(*seeds: int) -> Stream:
    return Stream(seeds, "test", lambda g, out: g.random(out=out), (3,))


def numbers(stream: Stream, *positions: int) -> Array:
    return stream.at(positions).copy()


def test_a_position_has_the_same_numbers_however_one_gets_there() -> None:
    straight, jumping = make(5), make(5)
    walked = [numbers(straight, n) for n in range(2 * BLOCK + 2)]
    for n in (2 * BLOCK + 1, 0, BLOCK, BLOCK - 1, 7):
        assert np.array_equal(numbers(jumping, n), walked[n])
    assert len({row.tobytes() for row in walked}) == len(walked)


def test_a_seed_among_others_draws_what_it_draws_alone() -> None:
    together = make(5, 6, 7)
    for positions in ((3, 3, 3), (3, BLOCK, 3 * BLOCK + 1), (0, 0, 1)):
        got = numbers(together, *positions)
        for k, (seed, position) in enumerate(zip((5, 6, 7), positions, strict=True)):
            assert np.array_equal(got[k], numbers(make(seed), position)[0])


def test_other_seeds_and_purposes_draw_other_numbers() -> None:
    other = Stream((5,), "else", lambda g, out: g.random(out=out), (3,))
    assert not np.array_equal(numbers(make(5), 0), numbers(make(6), 0))
    assert not np.array_equal(numbers(make(5), 0), numbers(other, 0))
    reseeded = make(6)
    reseeded.at((0,))
    reseeded.reseed((5,))
    assert np.array_equal(numbers(reseeded, 0), numbers(make(5), 0))


def test_on_a_device_the_numbers_are_the_same() -> None:
    host, there = make(5, 6, 7), DeviceStream(make(5, 6, 7), torch.device("cpu"))
    where = there.newest.data_ptr()
    for positions in ((0, 0, 0), (1, 1, 1), (3, BLOCK, 3 * BLOCK + 1), (BLOCK,) * 3, (0, 0, 1)):
        assert np.array_equal(there.at(positions).numpy(), host.at(positions))
    assert there.newest.data_ptr() == where
    for stream in (host, there):
        stream.reseed((8, 9, 10))
    assert np.array_equal(there.at((0, 0, 1)).numpy(), host.at((0, 0, 1)))


def test_on_a_device_nothing_waits_for_values() -> None:
    there = DeviceStream(make(5, 6), torch.device("meta"))
    for positions in ((0, 0), (1, BLOCK)):
        assert there.at(positions).shape == (2, 3)
