"""A moving window equals a plain list of which only the end is looked at."""

from __future__ import annotations

import json
from dataclasses import astuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from velora.metrics import MovingWindow

values = st.lists(st.floats(-1e6, 1e6), max_size=30)
sizes = st.integers(1, 12)


@given(size=sizes, added=values)
def test_equals_a_list(size: int, added: list[float]) -> None:
    window = MovingWindow(size)
    for i, value in enumerate(added, start=1):
        window.add(value)
        kept = added[:i][-size:]
        stats = window.stats()
        assert window.values == tuple(kept)
        assert (stats.size, stats.count, stats.is_full) == (size, len(kept), i >= size)
        assert stats.mean == np.mean(kept)
        assert stats.std == np.std(kept)
        assert stats.max == max(kept)


@given(size=sizes, added=st.lists(st.floats(), max_size=20), later=st.lists(st.floats(), max_size=20))
def test_saved_and_loaded_goes_on_as_if_nothing_happened(size: int, added: list[float], later: list[float]) -> None:
    straight, before = MovingWindow(size), MovingWindow(size)
    for value in added:
        straight.add(value)
        before.add(value)
    after = MovingWindow(size)
    after.load_state_dict(json.loads(json.dumps(before.state_dict(), allow_nan=False)))
    for value in later:
        straight.add(value)
        after.add(value)
    np.testing.assert_array_equal(after.values, straight.values)
    np.testing.assert_array_equal(astuple(after.stats()), astuple(straight.stats()))
