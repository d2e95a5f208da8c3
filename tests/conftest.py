"""Of a test of many cases that takes long as a whole, ``make test`` runs some, and ``make test-all`` every one."""

from __future__ import annotations

from collections import defaultdict

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark cases as slow, but so many of each test as its mark ``some`` says, spread evenly."""
    cases = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        if item.get_closest_marker("some") and not item.get_closest_marker("slow"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for own in cases.values():
        mark = own[0].get_closest_marker("some")
        assert mark is not None
        (n,) = mark.args
        kept = {k * len(own) // n for k in range(n)}
        for number, item in enumerate(own):
            if number not in kept:
                item.add_marker(pytest.mark.slow)
