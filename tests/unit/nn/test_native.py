"""What only the native kernel has: instruction sets and threads. What every kernel has is in test_kernels.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from velora import kernels
from velora.kernels.native import unroll as native

from .unrolling import KINDS, assert_same, build, results

pytestmark = pytest.mark.skipif(kernels.extension is None, reason="the native kernel isn't built here")

SETS = kernels.extension.instruction_sets() if kernels.extension else []


@pytest.fixture
def instructions() -> Iterator[Callable[[str], None]]:
    assert kernels.extension is not None
    yield kernels.extension.use
    kernels.extension.use(SETS[-1])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_autograd(kind: str, name: str, instructions: Callable[[str], None]) -> None:
    instructions(name)
    cell = build(kind, 2)
    for shape in ((2, 1, 1), (2, 7, 5), (2, 130, 2)):
        assert_same(results(cell, shape, "native"), results(cell, shape, "steps"), rtol=2e-5, atol=3e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = build(kind, 3)
    alone = results(cell, (3, 130, 4), "native")
    monkeypatch.setattr(native, "useful_threads", lambda n: 3)
    for one, three in zip(alone, results(cell, (3, 130, 4), "native"), strict=True):
        assert torch.equal(one, three)
