from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from velora.core.threads import computing_on


def _of_a_fresh_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.fixture(autouse=True)
def _four() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_a_run_inside_another_gives_back_that_ones() -> None:
    with computing_on(2):
        with computing_on(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == _of_a_fresh_thread() == 4


def test_an_error_gives_them_back() -> None:
    with pytest.raises(ValueError, match="stop"), computing_on(1):
        raise ValueError("stop")
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("ends_first", [0, 1])
def test_runs_side_by_side_may_end_in_any_order(ends_first: int) -> None:
    begun, over = [threading.Event(), threading.Event()], threading.Event()

    def run(k: int) -> tuple[int, int]:
        if k == 1:
            assert begun[0].wait(60.0)
        with computing_on(k + 1):
            begun[k].set()
            assert begun[1].wait(60.0)
            if k != ends_first:
                assert over.wait(60.0)
            inside = torch.get_num_threads()
        over.set()
        return inside, torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [(1, 4), (2, 4)]
    assert torch.get_num_threads() == _of_a_fresh_thread() == 4
