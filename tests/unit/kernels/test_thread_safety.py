"""A recording is its thread's own: what other threads compute meanwhile is computed, and is not part of it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.shared import KERNELS
from velora import kernels
from velora.core.errors import RecordingError
from velora.kernels import make_backend
from velora.kernels.arrays import blas
from velora.kernels.arrays import program as arrays
from velora.kernels.backend import Backend, Program
from velora.kernels.native import binding
from velora.models import Agent, LiquidDDPG
from velora.nn.run.function import unroll_by_kernel

OBS = [0.1, 0.2, 0.3]


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def aside() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Return what calls a function in another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda function: pool.submit(function).result(timeout=60.0)


def _agent(kernel: str) -> Agent:
    return LiquidDDPG(3, 6, 1, seed=0, device="cpu", kernel=kernel)


def _n_noted(program: Any) -> int:
    return int(program.n_calls) if isinstance(program, binding.Program) else len(program.calls)


def _copy(backend: Backend, value: float) -> tuple[Tensor, Tensor]:
    """Make or note a copy of a number."""
    source, out = torch.full((1, 1), value), torch.zeros(1, 1)
    backend.copy(source, out)
    return source, out


def test_others_compute_while_a_thread_records(kernel: str, aside: Callable[[Callable[[], Any]], Any]) -> None:
    agent, backend = _agent(kernel), make_backend(kernel)
    expected = [part.tolist() for part in agent.predict(OBS)]
    program = backend.program()
    with program.record():
        answer = aside(lambda: [part.tolist() for part in agent.predict(OBS)])
        copied = aside(lambda: _copy(backend, 4.0)[1].item())
    assert answer == expected
    assert copied == 4.0
    assert _n_noted(program) == 0


def test_two_threads_record_at_once(kernel: str, aside: Callable[[Callable[[], Any]], Any]) -> None:
    backend = make_backend(kernel)

    def recorded(value: float) -> tuple[Program, Tensor]:
        program = backend.program()
        with program.record():
            _, out = _copy(backend, value)
        return program, out

    mine = backend.program()
    with mine.record():
        _, first = _copy(backend, 1.0)
        other, second = aside(lambda: recorded(2.0))
    assert _n_noted(mine) == _n_noted(other) == 1
    assert first.item() == second.item() == 0.0
    for program in (mine, other):
        program.start((0,), 1)
        program.wait()
    assert (first.item(), second.item()) == (1.0, 2.0)


def test_a_thread_records_one_program_at_a_time(kernel: str) -> None:
    backend = make_backend(kernel)
    is_recording = binding.is_recording if kernel == "native" else arrays.is_recording
    with backend.program().record():
        with pytest.raises(RecordingError, match="this thread records a program already"):
            backend.program().record().__enter__()
        assert is_recording()
    assert not is_recording()


def test_a_recording_that_has_ended_takes_no_more_calls() -> None:
    program = binding.Program()
    with program.record():
        pass
    numbers = binding.numbers(1, 1)
    words = (1, 1, numbers.data_ptr(), numbers.data_ptr())
    assert binding.extension is not None
    with pytest.raises(RuntimeError, match="has ended"):
        binding.extension.call(program._calls, 1, binding.KINDS["copy"], *words)
    with pytest.raises(RuntimeError, match="has ended"):
        binding.extension.finish(program._calls)


def test_a_chosen_kernel_is_its_threads_own(aside: Callable[[Callable[[], Any]], Any]) -> None:
    numbers = torch.zeros(1)
    with kernels.using("numpy"):
        assert kernels.chosen(numbers) == "numpy"
        assert aside(lambda: kernels.chosen(numbers)) == "native"
    assert kernels.chosen(numbers) == "native"


# ------------------------------------------------------------------------------------------------ memory that is shared


def test_one_agent_answers_many_threads(kernel: str) -> None:
    agent = _agent(kernel)
    given = np.random.default_rng(0).normal(size=(4, 60, 3)).astype(np.float32)
    expected = [[agent.predict(obs)[1].tolist() for obs in own] for own in given]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda own: [agent.predict(obs)[1].tolist() for obs in own], given))
    finally:
        sys.setswitchinterval(before)
    assert answers == expected


def test_unrolls_under_autograd_keep_apart(kernel: str) -> None:
    cell = _agent(kernel).actor.cell
    x, h, dt = torch.randn(8, 1, 5, 6, cell.input_size), torch.zeros(1, 5, cell.state_size), torch.ones(1, 5, 6)

    def gradients(own: Tensor) -> list[float]:
        own = own.clone().requires_grad_()
        with kernels.using(kernel):
            made = unroll_by_kernel(cell, own, h, dt, None)
        assert made is not None
        (gradient,) = torch.autograd.grad(made[0].square().sum(), own)
        return [float(number) for number in gradient.flatten()]

    expected = [gradients(own) for own in x]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(gradients, x)) == expected


def test_programs_of_several_threads_share_one_pool() -> None:
    """Each waits for its own, and for no other."""
    backend, n_seeds = make_backend("native"), 3

    def count(step: float) -> list[float]:
        total, one = torch.zeros(n_seeds, 64), torch.full((n_seeds, 64), step)
        program = backend.program()
        with program.record():
            backend.follow(total, one, torch.ones(n_seeds), tau=0.5, rows=range(n_seeds))
        seen = []
        for _ in range(300):
            program.start((0, 1, 2), 2)
            program.wait()
            seen.append(float(total.sum()))
        return seen

    expected = [count(step) for step in (1.0, 2.0, 3.0)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(count, (1.0, 2.0, 3.0))) == expected


@pytest.mark.skipif(blas._threads is None, reason="NumPy uses another library than OpenBLAS")
def test_numpy_computes_on_one_thread_until_the_last_is_through() -> None:
    assert blas._threads is not None
    get, set_ = blas._threads
    before = get()
    set_(3)
    try:
        first, second, both = blas.Quietly(), blas.Quietly(), threading.Barrier(2)

        def other() -> int:
            with second:
                both.wait()
                both.wait()
                return get()

        with ThreadPoolExecutor(1) as pool:
            with first:
                seen = pool.submit(other)
                both.wait()
            both.wait()
            assert seen.result() == 1
        assert get() == 3
    finally:
        set_(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_waits_for_no_thread_of_its_parent() -> None:
    with blas.Quietly():
        child = os.fork()
        if child == 0:
            os._exit(blas._one_thread._n_inside)
    assert os.waitpid(child, 0)[1] == 0
