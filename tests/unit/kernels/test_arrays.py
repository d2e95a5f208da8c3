"""Arrays by themselves: what holds on any device, and how memory is used again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from velora.kernels.arrays import blas
from velora.kernels.arrays.backend import ArrayBackend
from velora.kernels.arrays.libraries import NumpyNamespace, TorchNamespace
from velora.kernels.arrays.pool import Pool
from velora.kernels.arrays.program import Program, do, is_recording
from velora.kernels.arrays.unroll import Unrolled
from velora.kernels.arrays.workspace import Form
from velora.kernels.backend import AdamState
from velora.kernels.plan import Plan
from velora.nn.cells import make_cell
from velora.nn.cells.registry import VARIANTS
from velora.nn.networks.critics import LiquidQNetwork, QNetwork
from velora.nn.parameters import flat_mask
from velora.nn.run.describe import cell_plan
from velora.nn.wiring import auto_ncp

FORM = Form(2, 3, 4, (5,), has_hidden=True, has_dt=True, has_resets=True, keeps=True)


def _generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(2)]


def _plans() -> dict[str, tuple[Plan, torch.Tensor | None]]:
    made = {}
    for name, chosen in VARIANTS.items():
        wirings = [auto_ncp(5, 11, 2, seed=k) for k in range(2)]
        cell = make_cell(name.split()[0], wirings, _generators(), **chosen)
        made[name] = cell_plan(cell, squash=True), flat_mask(cell)
    critic = LiquidQNetwork(make_cell("cfc", [auto_ncp(5, 11, 1)] * 2, _generators()), _generators())
    dense = QNetwork(4, 1, units=(7, 6), generators=_generators())
    made |= {"liquid critic": (critic.plan(), flat_mask(critic)), "dense critic": (dense.plan(), None)}
    return made  # type: ignore[return-value]


@pytest.mark.parametrize("name", _plans())
@pytest.mark.some(6)
def test_nothing_waits_for_the_device_or_asks_for_its_values(name: str) -> None:
    """On a device that has shapes but no values, whatever looked at a value would fail."""
    plan, mask = _plans()[name]
    xp = TorchNamespace(torch.float32, "meta")
    unrolled = Unrolled(xp, plan, FORM, None if mask is None else mask.numpy())
    x, h = xp.zeros(2, 3, 4, 5), xp.zeros(2, 3, plan.state_size)
    dt = resets = xp.zeros(2, 3, 4)
    parameters, gradient = xp.zeros(2, plan.n_parameters), xp.zeros(2, plan.n_parameters)
    unrolled.forward(parameters, [x], h, dt, resets)
    d_states = xp.zeros(2, 3, 4, plan.state_size)
    wants_hidden = plan.has_memory and "memoryless" not in name
    unrolled.backward(
        d_out=xp.zeros(*unrolled.out.shape), d_states=d_states, d_last=h, gradient=gradient,
        wants_sources=(True,), wants_hidden=wants_hidden,
    )  # fmt: skip
    unrolled.write_d_hidden(h)
    assert unrolled.d_source(0).shape == x.shape


def test_the_rest_of_an_update_does_not_wait_either() -> None:
    """It is of the right shapes, on the device without values."""
    xp = TorchNamespace(torch.float32, "meta")
    backend = ArrayBackend(xp)
    values = xp.zeros(2, 3, 4)
    y = backend.td_target(values, values, values, values, gamma=0.9, scale=1.0)
    error = backend.squared_error(values, y)
    out, noise, log_temperature = xp.zeros(2, 3, 4, 2), xp.zeros(2, 3, 4, 1), xp.zeros(2, 1)
    drawn = backend.squashed(out, noise)
    soft = backend.soft_minimum((values, values), drawn.log_prob, log_temperature)
    d = backend.soft_minimum_gradient((values, values), log_temperature, factor=-1.0, skip=1)
    d_out = backend.squashed_gradient(out, noise, (noise, noise), d.log_prob)
    temperature = backend.temperature(log_temperature, xp.zeros(2), target=-1.0)
    backend.copy(temperature.gradient, log_temperature)
    flat = xp.zeros(2, 9)
    norms = backend.clip(flat, max_norm=1.0)
    backend.judge(norms, norms, xp.zeros(2), rows=[0, 1])
    backend.follow(flat, xp.zeros(2, 9), xp.zeros(2), tau=0.5, rows=[1])
    wide = TorchNamespace(torch.float64, "meta")
    constants = (0.9, 0.999, 1e-8, 0.01)
    backend.adam(AdamState(flat, flat, flat, flat, wide.zeros(2), xp.zeros(2), wide.zeros(5), constants), rows=[0, 1])
    of_steps = (y, error.gradient, drawn.log_prob, soft, *d.values, d.log_prob)
    assert all(made.shape == (2, 3, 4) for made in of_steps)
    assert all(made.shape == (2,) for made in (error.loss, error.mean, temperature.loss, temperature.temperature))
    assert (drawn.action.shape, d_out.shape, temperature.gradient.shape) == (noise.shape, out.shape, (2, 1))
    assert all(made.device.type == "meta" for made in (*of_steps, error.loss, d_out, temperature.gradient, flat))


def test_a_pool_lends_each_memory_to_one_call_at_a_time() -> None:
    plan, mask = _plans()["cfc"]
    pool = Pool(NumpyNamespace(), plan, mask)
    first, second = pool.take(FORM), pool.take(FORM)
    assert first is not second
    pool.give_back(first)
    assert pool.take(FORM) is first


def test_a_program_notes_what_it_does_not_make() -> None:
    xp = NumpyNamespace()
    a, program = xp.zeros(3), Program(xp.quietly)
    with program.record():
        assert is_recording()
        do(xp.add, a, xp.one, a)
    assert not is_recording()
    assert a.tolist() == [0.0, 0.0, 0.0]
    for _ in range(2):
        program.run()
    assert a.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("xp", [NumpyNamespace(), TorchNamespace()], ids=["numpy", "torch"])
def test_an_error_ends_the_recording(xp: NumpyNamespace | TorchNamespace) -> None:
    with pytest.raises(ValueError, match="stop"), Program(xp.quietly).record():
        raise ValueError("stop")
    assert not is_recording()


def test_numpy_warns_and_counts_threads_as_before_afterwards() -> None:
    before = None if blas._threads is None else blas._threads[0]()
    with NumpyNamespace().quietly():
        assert not np.isfinite(np.float32(1.0) / np.float32(0.0))
        if blas._threads is not None:
            assert blas._threads[0]() == 1
    assert before is None or blas._threads[0]() == before  # type: ignore[index]
    with pytest.warns(RuntimeWarning):
        _ = np.float32(1.0) / np.float32(0.0)
